"""Values sealed to the tools process: whoever holds the public half can seal and never read back.

HPKE of RFC 9180 (X25519, HKDF-SHA256, AES-256-GCM). Where a value belongs is part of what is sealed, so a row that was
moved to another project or name can't be opened.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from hypercode.domain.errors import Conflict

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def new_sealing_key() -> tuple[str, str]:
    """Make a key pair; returns the private and the public half in hex."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw().hex(), private.public_key().public_bytes_raw().hex()


def seal(public_hex: str, value: bytes, belongs_to: str) -> bytes:
    """Seal a value for the holder of the private half; ``belongs_to`` must be said again to open it."""
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
    return _SUITE.encrypt(value, public, info=belongs_to.encode())


def unseal(private_hex: str, sealed: bytes, belongs_to: str) -> bytes:
    """Open what was sealed; raises Conflict for another key, another place, or bytes that were changed."""
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(private_hex))
    try:
        return _SUITE.decrypt(sealed, private, info=belongs_to.encode())
    except (InvalidTag, ValueError) as error:
        raise Conflict(
            "a secret can't be opened: it was sealed with another key, or was changed",
            hint="Set the secret again.",
        ) from error
