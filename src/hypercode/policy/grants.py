"""Grants as biscuit tokens: the mint key signs the first block, a holder can only append narrowing ones.

Every block has one closed form, written and read here. A block of any other form makes the whole token
invalid, so nothing that a holder appends can be mistaken for a right. A narrowed block names the child
run; whether that run really is a child is for the tools process to check, from ``Grant.lineage``.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from biscuit_auth import (
    AuthorizationError,
    AuthorizerBuilder,
    Biscuit,
    BiscuitBlockError,
    BiscuitBuilder,
    BiscuitSerializationError,
    BiscuitValidationError,
    BlockBuilder,
    DataLogError,
    PrivateKey,
    PublicKey,
)

from hypercode.domain.errors import InvalidArgument, Unauthenticated
from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole

MAX_BLOCKS = 8
"""How often a token may be narrowed, so that a verification stays cheap."""

MAX_TIME = timedelta(seconds=5)
"""How long a verification may take; blocks, facts and iterations are bounded on their own."""

DELEGATES: dict[AgentRole, frozenset[AgentRole]] = {
    AgentRole.ARCHITECT: frozenset({AgentRole.ARCHITECT, AgentRole.CODER, AgentRole.REVIEWER}),
    AgentRole.CODER: frozenset({AgentRole.CODER, AgentRole.REVIEWER}),
    AgentRole.REVIEWER: frozenset({AgentRole.REVIEWER}),
    AgentRole.PERSON: frozenset({AgentRole.PERSON}),
}
"""The roles that a holder in a role may hand on: never one that may do what the holder, or whom it delegates to, may not."""

_TOKEN = re.compile(r"[A-Za-z0-9_=-]{1,8192}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUBJECT = re.compile(r'run\("([\w-]{1,64})", "([\w-]{1,64})", "([a-z]+)"\)', re.ASCII)
_ORIGIN = re.compile(r'grant\("([\w-]{1,64})", "([\w-]{1,64})", "([\w-]{1,64})"\)', re.ASCII)
_TOOL = re.compile(r'tool\("([\w-]{1,64})"\)', re.ASCII)
_EXPIRY = re.compile(r"check if time\(\$t\), \$t < (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", re.ASCII)


@dataclass(frozen=True)
class _Block:
    """What one block says; ``origin`` (organisation, project, task) stands in the first block only."""

    run_id: str
    workspace_id: str
    role: AgentRole
    tools: frozenset[str] | None
    expires_at: datetime
    origin: tuple[str, str, str] | None = None


def mint(private_key_hex: str, grant: Grant) -> str:
    """Sign a grant with the mint key; raises InvalidArgument for ids that are not plain words."""
    block = _Block(
        run_id=grant.run_id,
        workspace_id=grant.workspace_id,
        role=grant.role,
        tools=grant.tools,
        expires_at=grant.expires_at,
        origin=(grant.organisation_id, grant.project_id, grant.task_id),
    )
    key = PrivateKey(_prefixed(private_key_hex, "ed25519-private/"))
    return BiscuitBuilder(_source(block)).build(key).to_base64()


def narrow(
    public_key_hex: str,
    token: str,
    *,
    child: tuple[str, str, AgentRole],
    tools: Collection[str] | None,
    expires_at: datetime,
) -> str:
    """Append a block for a child (run id, workspace id, role); raises InvalidArgument when it would widen.

    ``tools`` None keeps the parent's set. The mint key is not needed: this is what a holder can do.
    """
    biscuit = _parse(public_key_hex, token)
    parent = _fold(_blocks(biscuit))
    run_id, workspace_id, role = child
    block = _Block(run_id, workspace_id, role, None if tools is None else frozenset(tools), expires_at)
    if role not in DELEGATES[parent.role]:
        raise InvalidArgument(f"a grant for {parent.role} can't be narrowed to {role}")
    return biscuit.append(BlockBuilder(_source(block))).to_base64()


def is_public_key(public_key_hex: str) -> bool:
    """Whether a text is a key that grants can be checked with."""
    try:
        PublicKey(_prefixed(public_key_hex, "ed25519/"))
    except ValueError:
        return False
    return True


def verify(public_key_hex: str, token: str, now: datetime) -> Grant:
    """Return what a token grants; raises Unauthenticated when it is not ours, widened, or expired."""
    biscuit = _parse(public_key_hex, token)
    grant = _fold(_blocks(biscuit))
    try:
        # Every block's own time check must hold; nothing else is decided in datalog.
        _authorizer(now).build(biscuit).authorize()
    except (AuthorizationError, DataLogError) as error:
        raise Unauthenticated("the grant has expired") from error
    if now >= grant.expires_at:
        raise Unauthenticated("the grant has expired")
    return grant


def _authorizer(now: datetime) -> AuthorizerBuilder:
    builder = AuthorizerBuilder("time({now}); allow if true", {"now": now})
    untyped: Any = builder  # its stub leaves the limits out
    limits = untyped.limits()
    # The default is one millisecond by the clock: on a busy machine a good grant then looked expired.
    limits.max_time = MAX_TIME
    untyped.set_limits(limits)
    return builder


def _parse(public_key_hex: str, token: str) -> Biscuit:
    """Check the signatures of all blocks."""
    if not _TOKEN.fullmatch(token):
        raise Unauthenticated("the grant can't be read")
    try:
        return Biscuit.from_base64(token, PublicKey(_prefixed(public_key_hex, "ed25519/")))
    except (BiscuitValidationError, BiscuitSerializationError, BiscuitBlockError, ValueError) as error:
        raise Unauthenticated("the grant was not signed by this instance") from error


def _fold(blocks: Iterator[_Block]) -> Grant:
    """Combine the blocks, first to last; each may only take away."""
    first = next(blocks)
    if first.origin is None:
        raise Unauthenticated("the grant has no origin")
    organisation_id, project_id, task_id = first.origin
    combined, lineage = first, list[str]()
    for block in blocks:
        if block.origin is not None or block.role not in DELEGATES[combined.role]:
            raise Unauthenticated("the grant was widened")
        lineage.append(combined.run_id)
        combined = replace(
            block,
            tools=_intersection(combined.tools, block.tools),
            expires_at=min(combined.expires_at, block.expires_at),
        )
    return Grant(
        organisation_id=organisation_id,
        project_id=project_id,
        task_id=task_id,
        run_id=combined.run_id,
        workspace_id=combined.workspace_id,
        role=combined.role,
        expires_at=combined.expires_at,
        tools=combined.tools,
        lineage=tuple(lineage),
    )


def _intersection(left: frozenset[str] | None, right: frozenset[str] | None) -> frozenset[str] | None:
    if left is None or right is None:
        return right if left is None else left
    return left & right


def _blocks(biscuit: Biscuit) -> Iterator[_Block]:
    """Read each block in its one closed form."""
    count = biscuit.block_count()
    if count > MAX_BLOCKS:
        raise Unauthenticated("the grant was narrowed too often")
    for index in range(count):
        if biscuit.block_external_key(index) is not None:
            raise Unauthenticated("the grant has a block of a third party")
        yield _read(biscuit.block_source(index))


def _read(source: str) -> _Block:
    """Parse a block's text; writing it again must give the same text, or the block is not one of ours."""
    lines = [line.removesuffix(";") for line in source.splitlines()]
    subject = _one(_SUBJECT, lines)
    expiry = _one(_EXPIRY, lines)
    origins = [match.groups() for match in map(_ORIGIN.fullmatch, lines) if match]
    tools = frozenset(match[1] for match in map(_TOOL.fullmatch, lines) if match)
    if subject is None or expiry is None or len(origins) > 1 or subject[3] not in set(AgentRole):
        raise Unauthenticated("the grant has a block that is not understood")
    block = _Block(
        run_id=subject[1],
        workspace_id=subject[2],
        role=AgentRole(subject[3]),
        tools=tools if "restricted(true)" in lines else None,
        expires_at=datetime.strptime(expiry[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        origin=(origins[0][0], origins[0][1], origins[0][2]) if origins else None,
    )
    if _source(block) != source:
        raise Unauthenticated("the grant has a block that is not understood")
    return block


def _one(pattern: re.Pattern[str], lines: list[str]) -> re.Match[str] | None:
    matches = [match for match in map(pattern.fullmatch, lines) if match]
    return matches[0] if len(matches) == 1 else None


def _source(block: _Block) -> str:
    """Write a block as datalog. All terms are plain words, so nothing needs escaping."""
    words = [block.run_id, block.workspace_id, block.role.value, *(block.tools or ()), *(block.origin or ())]
    for word in words:
        if not _WORD.fullmatch(word):
            raise InvalidArgument(f"{word!r} can't stand in a grant")
    lines: list[str] = []
    if block.origin is not None:
        lines.append('grant("{}", "{}", "{}")'.format(*block.origin))
    lines.append(f'run("{block.run_id}", "{block.workspace_id}", "{block.role.value}")')
    if block.tools is not None:
        lines.append("restricted(true)")
        lines.extend(f'tool("{tool}")' for tool in sorted(block.tools))
    moment = block.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines.append(f"check if time($t), $t < {moment}")
    return "".join(f"{line};\n" for line in lines)


def _prefixed(key_hex: str, prefix: str) -> str:
    return key_hex if key_hex.startswith(prefix) else prefix + key_hex
