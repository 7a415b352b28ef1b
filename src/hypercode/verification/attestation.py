"""Attestations: an in-toto Statement with the test-result predicate, in a DSSE envelope, signed with ed25519."""

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from hypercode.domain.errors import HyperCodeError, InvalidArgument, NotFound

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
EXTENSION = "dev.hypercode/v1"
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
SIZE_CAP = 64 * 1024 * 1024


class SignatureInvalid(HyperCodeError):
    """No signature of the envelope was made by the given key over this payload."""

    code = "SIGNATURE_INVALID"


class Signature(BaseModel):
    model_config = ConfigDict(frozen=True)

    keyid: str
    sig: str


class Envelope(BaseModel):
    """A DSSE envelope; ``payload`` and ``sig`` are base64."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    payloadType: str  # noqa: N815 - DSSE's own name
    payload: str
    signatures: list[Signature]

    def to_bytes(self) -> bytes:
        return json.dumps(self.model_dump(), indent=1).encode() + b"\n"


def key_id(key: Ed25519PublicKey) -> str:
    """Name a key by the hash of its raw bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def sign(statement: dict[str, Any], key: Ed25519PrivateKey) -> Envelope:
    """Sign a statement."""
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signature = key.sign(_pre_authentication(PAYLOAD_TYPE, payload))
    return Envelope(
        payloadType=PAYLOAD_TYPE,
        payload=base64.b64encode(payload).decode(),
        signatures=[Signature(keyid=key_id(key.public_key()), sig=base64.b64encode(signature).decode())],
    )


def check(envelope: Envelope, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the statement that the key signed.

    Raises:
        SignatureInvalid: the key signed no such payload.
        InvalidArgument: it is signed, but not an in-toto Statement.
    """
    payload = _decode(envelope.payload)
    message = _pre_authentication(envelope.payloadType, payload)
    if not any(_verifies(key, _decode(signature.sig), message) for signature in envelope.signatures):
        raise SignatureInvalid(
            f"No signature of this file is by the key {key_id(key)}: it was changed, or another instance signed it.",
            hint="Compare with the public key of the instance that made it (--public-key).",
        )
    statement = _json_object(payload)
    if envelope.payloadType != PAYLOAD_TYPE or statement.get("_type") != STATEMENT_TYPE:
        raise InvalidArgument("The file is signed, but holds no in-toto Statement.")
    return statement


def read_envelope(data: bytes) -> Envelope:
    """Read an envelope; raises InvalidArgument for anything else."""
    if len(data) > SIZE_CAP:
        raise InvalidArgument("The file is larger than any attestation.")
    try:
        return Envelope.model_validate_json(data)
    except ValidationError:
        raise InvalidArgument(
            "The file is not a DSSE envelope.", hint="Give the attestation.json artifact of a run."
        ) from None


def read_private_key(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(_read_key(path), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidArgument(f"{path.name} holds no ed25519 private key.")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(_read_key(path))
    except ValueError:
        raise InvalidArgument(f"{path.name} holds no public key in PEM form.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidArgument(f"{path.name} holds no ed25519 public key.")
    return key


def new_key_pair() -> tuple[bytes, bytes]:
    """Return a fresh private and public key, both PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"The key file {path.name} can't be read: {error.strerror}.",
            hint="Pass --public-key FILE, or run where the instance's data directory is.",
        ) from None


def _pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: lengths and texts, so that no part can be taken for another."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("The envelope holds something that is not base64.") from None


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        value: object = json.loads(payload)
    except ValueError:
        raise InvalidArgument("The signed payload is not JSON.") from None
    if not isinstance(value, dict):
        raise InvalidArgument("The signed payload is not a JSON object.")
    return cast(dict[str, Any], value)
