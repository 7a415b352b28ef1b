"""``hypercode verify``: 0 for a valid signature, 1 for an invalid one, 2 for a file that can't be used."""

import json
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from hypercode.cli.verify import verify
from hypercode.verification.attestation import (
    EXTENSION,
    STATEMENT_TYPE,
    key_id,
    new_key_pair,
    read_private_key,
    sign,
)

SAID = {
    "grade": "fixed", "reason": "red at base \x1b]52;c;x\x07", "verified": True, "required": "fixed",
    "run": "run_1", "time": "2026-01-01T00:00:00+00:00", "base": {"tree": "b"}, "head": {"tree": "h"},
    "checks": [
        {
            "argv": ["pytest"], "base": [{"passed": 1, "failed": 1}],
            "head": {"passed": 2, "failed": 0, "exitCode": 0},
        }
    ],
    "findings": [], "means": "This does not prove that the code is right.",
}  # fmt: skip
STATEMENT = {"_type": STATEMENT_TYPE, "predicate": {EXTENSION: SAID}}

app = typer.Typer()
app.command()(verify)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Ed25519PrivateKey, Path]:
    private, public = new_key_pair()
    (tmp_path / "k").write_bytes(private)
    (tmp_path / "k.pub").write_bytes(public)
    return read_private_key(tmp_path / "k"), tmp_path / "k.pub"


def test_valid(keys: tuple[Ed25519PrivateKey, Path], tmp_path: Path) -> None:
    key, public = keys
    file = tmp_path / "a.json"
    file.write_bytes(sign(STATEMENT, key).to_bytes())
    result = CliRunner().invoke(app, [str(file), "--public-key", str(public)])
    assert result.exit_code == 0
    assert f"signed by instance {key_id(key.public_key())}" in result.output
    assert "does not prove" in result.output
    # Text that a statement quotes can't steer a terminal.
    assert "\x1b" not in result.output
    as_json = CliRunner().invoke(app, [str(file), "--public-key", str(public), "--json"])
    assert json.loads(as_json.output)["valid"] is True


def test_the_instances_own_key_is_the_default(
    keys: tuple[Ed25519PrivateKey, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = keys
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "attestation.pub").write_bytes(public.read_bytes())
    file = tmp_path / "a.json"
    file.write_bytes(sign(STATEMENT, key).to_bytes())
    monkeypatch.setenv("HYPERCODE_DATA_DIR", str(tmp_path))
    assert CliRunner().invoke(app, [str(file)]).exit_code == 0


def test_a_changed_byte_is_invalid(keys: tuple[Ed25519PrivateKey, Path], tmp_path: Path) -> None:
    key, public = keys
    envelope = json.loads(sign(STATEMENT, key).to_bytes())
    first = envelope["payload"][40]
    envelope["payload"] = envelope["payload"][:40] + ("A" if first != "A" else "B") + envelope["payload"][41:]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(envelope))
    result = CliRunner().invoke(app, [str(file), "--public-key", str(public)])
    assert result.exit_code == 1
    assert "NOT VALID" in result.output
    as_json = CliRunner().invoke(app, [str(file), "--public-key", str(public), "--json"])
    assert json.loads(as_json.stdout)["valid"] is False


@pytest.mark.parametrize("content", [None, b"", b"{}", b"not json"])
def test_unusable(content: bytes | None, keys: tuple[Ed25519PrivateKey, Path], tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    assert CliRunner().invoke(app, [str(file), "--public-key", str(keys[1])]).exit_code == 2
    assert CliRunner().invoke(app, [str(file), "--public-key", str(tmp_path / "none")]).exit_code == 2


def test_signed_but_not_ours(keys: tuple[Ed25519PrivateKey, Path], tmp_path: Path) -> None:
    key, public = keys
    file = tmp_path / "a.json"
    file.write_bytes(sign({"_type": STATEMENT_TYPE, "predicate": {}}, key).to_bytes())
    assert CliRunner().invoke(app, [str(file), "--public-key", str(public)]).exit_code == 2
