"""The keys of an instance: made once, each in a file that only its user can read, never in arguments."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer
from biscuit_auth import KeyPair
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hypercode.store.sealing import new_sealing_key

BEARER_KEYS = ("platform.key", "verifier.key", "verification.key", "sandboxd.key", "preview.key")


def keys(
    directory: Annotated[Path, typer.Argument(help="Where the key files are, or are to be made.")],
) -> None:
    """Make the keys of an instance that are missing, for Compose and Kubernetes; those that are there stay."""
    ensure_keys(directory)


def ensure_keys(directory: Path) -> None:
    """Make the keys that are missing; those that are there stay as they are."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in BEARER_KEYS:
        if not (directory / name).exists():
            _write(directory / name, secrets.token_hex(32))
    if not (directory / "grant.key").exists():
        pair = KeyPair()
        _write(directory / "grant.pub", pair.public_key.to_bytes().hex())
        _write(directory / "grant.key", pair.private_key.to_bytes().hex())
    if not (directory / "secrets.key").exists():
        sealing, public_sealing = new_sealing_key()
        (directory / "secrets.pub").unlink(missing_ok=True)
        _write(directory / "secrets.pub", public_sealing)
        _write(directory / "secrets.key", sealing)
    if not (directory / "attestation.key").exists():
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write(directory / "attestation.pub", public.decode())
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(directory / "attestation.key", pem.decode())


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
