"""Signed is signed: any other byte, key or form is refused."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.verification.attestation import (
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    Envelope,
    SignatureInvalid,
    check,
    new_key_pair,
    read_envelope,
    read_private_key,
    read_public_key,
    sign,
)

STATEMENT = {"_type": STATEMENT_TYPE, "subject": [{"digest": {"gitTree": "a" * 40}}], "predicate": {"n": "é"}}
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)


def test_round_trip() -> None:
    envelope = read_envelope(sign(STATEMENT, KEY).to_bytes())
    assert envelope.payloadType == PAYLOAD_TYPE
    assert check(envelope, KEY.public_key()) == STATEMENT


def test_the_signed_bytes_are_dsse() -> None:
    envelope = sign(STATEMENT, KEY)
    payload = base64.b64decode(envelope.payload)
    message = f"DSSEv1 28 {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    KEY.public_key().verify(base64.b64decode(envelope.signatures[0].sig), message)


def test_any_changed_byte_is_refused() -> None:
    envelope = sign(STATEMENT, KEY)
    payload = base64.b64decode(envelope.payload)
    for index in range(len(payload)):
        tampered = bytearray(payload)
        tampered[index] ^= 1
        changed = envelope.model_copy(update={"payload": base64.b64encode(tampered).decode()})
        with pytest.raises(SignatureInvalid):
            check(changed, KEY.public_key())


def test_another_type_key_or_no_signature_is_refused() -> None:
    envelope = sign(STATEMENT, KEY)
    with pytest.raises(SignatureInvalid):
        check(envelope.model_copy(update={"payloadType": "text/plain"}), KEY.public_key())
    with pytest.raises(SignatureInvalid):
        check(envelope, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(SignatureInvalid):
        check(envelope.model_copy(update={"signatures": []}), KEY.public_key())


def test_signed_but_no_statement() -> None:
    with pytest.raises(InvalidArgument):
        check(sign({"_type": "other"}, KEY), KEY.public_key())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff\xfe", json.dumps({"payload": 1}).encode()])
def test_unusable_files(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        read_envelope(data)


def test_not_base64() -> None:
    envelope = Envelope.model_validate({**sign(STATEMENT, KEY).model_dump(), "payload": "%%%"})
    with pytest.raises(InvalidArgument):
        check(envelope, KEY.public_key())


def test_key_files(tmp_path: Path) -> None:
    private, public = new_key_pair()
    (tmp_path / "k").write_bytes(private)
    (tmp_path / "k.pub").write_bytes(public)
    envelope = sign(STATEMENT, read_private_key(tmp_path / "k"))
    assert check(envelope, read_public_key(tmp_path / "k.pub")) == STATEMENT
    with pytest.raises(NotFound):
        read_public_key(tmp_path / "none")
    with pytest.raises(InvalidArgument):
        read_public_key(tmp_path / "k")
