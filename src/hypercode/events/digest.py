"""The digest of what an event says: canonical JSON of its type and payload, without the times that no replay brings again."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

TIMES = frozenset({"duration_ms", "elapsed_s", "build_s", "phases_ms", "expires_at"})


def said(type_: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of an event: neither its place in the log nor any time."""
    return {"type": type_, "payload": {name: value for name, value in payload.items() if name not in TIMES}}


def digest_of(value: object) -> str:
    """SHA-256 of canonical JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_of_all(digests: Iterable[str]) -> str:
    """One digest for several, in their order."""
    return digest_of(list(digests))
