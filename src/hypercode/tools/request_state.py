"""What a client is given to bring back with its answer: opaque, sealed, and good for one run, call and caller only."""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

from hypercode.domain.grant import Grant
from hypercode.mcp_protocol.schemas import canonical_json
from hypercode.tools.cancelling import GRANT

PERSON = "HyperCode-Person"
"""The header in which a client may say for which person it speaks: their API token."""

APPROVAL, QUESTION = "approval", "question"

_LONGEST = 150


@dataclass(frozen=True)
class Waiting:
    """A call that waits for a person: ``call`` names it through all its rounds, ``id`` what they are asked."""

    call: str
    kind: str
    id: str

    @property
    def key(self) -> str:
        """The key under which the call goes on, the same for every repeat: nothing runs twice."""
        call = self.call if len(self.call) <= _LONGEST else hashlib.sha256(self.call.encode()).hexdigest()
        return f"{call}+{self.id}"

    def text(self) -> str:
        """The form in which a state carries it."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Waiting":
        """Read what ``text`` wrote; only what the boundary has opened gets here."""
        return cls(**json.loads(text))


def state_boundary(platform_key: str, life_s: float, audience: str) -> RequestStateBoundary:
    """Seals states on their way out and opens them on their way in, in every process that has the same key.

    The SDK's own: AES-GCM, and in it the method, tool, arguments, caller, audience and expiry, each held against the
    request that brings the state. What does not fit is ``-32602``, and no tool hears of it.
    """
    key = hmac.digest(platform_key.encode(), b"hypercode request state 1", hashlib.sha256)
    security = RequestStateSecurity(keys=[key], ttl=life_s, bind_principal=_caller, audience=audience)
    return RequestStateBoundary(security, default_audience=None)


def _caller(context: ServerRequestContext[Any, Any]) -> str:
    """The grant but for its end, and the person whose token came along."""
    request = context.request
    grant = None if request is None else request.scope.get(GRANT)
    if request is None or not isinstance(grant, Grant):
        raise TypeError("a request without a grant")
    said = grant.model_dump(mode="json", exclude={"expires_at", "tools"})
    said["tools"] = None if grant.tools is None else sorted(grant.tools)
    person = hashlib.sha256(request.headers.get(PERSON, "").encode()).hexdigest()
    return canonical_json([said, person]).decode()
