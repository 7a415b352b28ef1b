"""No form of a secret's value leaves, whatever stands around it."""

import base64
import json
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypercode.tools.redaction import Redactor

ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "plain": lambda data: data.decode(),
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64 of a longer text": lambda data: base64.b64encode(b"user:" + data + b"@host").decode(),
    "base64, other place": lambda data: base64.b64encode(b"four" + data).decode(),
    "base64 url": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "base64 in lines": lambda data: base64.encodebytes(data).decode(),
    "hex": lambda data: data.hex(),
    "HEX": lambda data: data.hex().upper(),
    "percent": lambda data: quote(data.decode(), safe=""),
    "form": lambda data: quote_plus(data.decode()),
    "json": lambda data: json.dumps({"value": data.decode()}),
    "json, as it is": lambda data: json.dumps(data.decode(), ensure_ascii=False),
    "repr": lambda data: repr(data.decode()),
    "shell": lambda data: shlex.quote(data.decode()),
}
# Bytes at the edges of base64 share a character with what stands beside them: those are left.
LEFT_AT_EDGES = 2

values = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=8, max_size=200).filter(
    lambda value: len(value.encode()) >= 8 and value.strip() == value
)
surroundings = st.text(max_size=50)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=30, deadline=None)
@given(value=values, before=surroundings, after=surroundings)
def test_each_form_is_found_in_any_surroundings(encoding: str, value: str, before: str, after: str) -> None:
    shown = ENCODINGS[encoding](value.encode())
    redacted = Redactor({"TOKEN": value}.items()).text(f"{before} {shown} {after}")
    assert "[secret TOKEN]" in redacted
    core = shown.replace("\n", "").strip("=")[LEFT_AT_EDGES:-LEFT_AT_EDGES]
    if len(core) >= 12 and core not in f"{before} {after}":
        assert core not in redacted.replace("\n", "")


def test_a_text_without_secrets_stays_as_it_is() -> None:
    text = "nothing to see here, line by line\n" * 100
    assert Redactor({"TOKEN": "correct horse battery"}.items()).text(text) == text
    assert Redactor({}.items()).text(text) == text


def test_json_is_redacted_wherever_text_stands() -> None:
    found = Redactor({"A": "first-secret", "B": "second-secret"}.items()).json(
        {"first-secret": ["x second-secret", {"deep": "first-secretsecond-secret"}], "n": 1, "none": None}
    )
    assert found == {
        "[secret A]": ["x [secret B]", {"deep": "[secret A][secret B]"}],
        "n": 1,
        "none": None,
    }


def test_each_line_of_a_value_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIN\nq0t1l9Q0/vA9dQ==\n-----END KEY-----"
    redacted = Redactor({"KEY": key}.items()).text("log: q0t1l9Q0/vA9dQ==\n")
    assert redacted == "log: [secret KEY]\n"


def test_it_says_whose_value_is_in_a_text() -> None:
    redactor = Redactor({"A": "first-secret", "B": "second-secret"}.items())
    assert redactor.names_in("+token = 'first-secret'") == {"A"}


def test_a_result_of_32_kib_costs_little_with_20_secrets() -> None:
    redactor = Redactor({f"S{n}": f"value-{n}-{'x' * 40}" for n in range(20)}.items())
    text = "some output of a program, 0123456789abcdef\n" * 780
    took = min(_seconds(lambda: redactor.text(text)) for _ in range(20))
    assert took < 0.005


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
