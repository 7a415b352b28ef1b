"""A grant says what its mint signed, and nothing that a holder does makes it say more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from biscuit_auth import Biscuit, BlockBuilder, KeyPair, PublicKey

from hypercode.domain.errors import InvalidArgument, Unauthenticated
from hypercode.domain.grant import Grant
from hypercode.domain.role import RUN_ROLES, AgentRole
from hypercode.policy import grants
from hypercode.policy.grants import DELEGATES, MAX_BLOCKS, mint, narrow, verify

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PAIR = KeyPair()
PRIVATE = bytes(PAIR.private_key.to_bytes()).hex()
PUBLIC = bytes(PAIR.public_key.to_bytes()).hex()
GRANT = Grant(
    organisation_id="org_1",
    project_id="prj_1",
    task_id="tsk_1",
    run_id="run_1",
    workspace_id="wsp_1",
    role=AgentRole.ARCHITECT,
    expires_at=LATER,
)
CHILD = ("run_2", "wsp_2", AgentRole.CODER)


def appended(token: str, source: str) -> str:
    return Biscuit.from_base64(token, PublicKey(f"ed25519/{PUBLIC}")).append(BlockBuilder(source)).to_base64()


def test_what_was_minted_is_what_is_verified() -> None:
    restricted = GRANT.model_copy(update={"tools": frozenset({"fs_read", "fs_tree"})})
    assert verify(PUBLIC, mint(PRIVATE, GRANT), NOW) == GRANT
    assert verify(PUBLIC, mint(PRIVATE, restricted), NOW) == restricted
    nothing = GRANT.model_copy(update={"tools": frozenset[str]()})
    assert verify(PUBLIC, mint(PRIVATE, nothing), NOW).tools == frozenset()


def test_a_narrowed_grant_is_for_the_child_and_never_wider_or_longer() -> None:
    parent = mint(PRIVATE, GRANT.model_copy(update={"tools": frozenset({"fs_read", "fs_tree"})}))
    token = narrow(
        PUBLIC, parent, child=CHILD, tools={"fs_read", "sh_exec"}, expires_at=LATER + timedelta(days=1)
    )
    child = verify(PUBLIC, token, NOW)
    assert (child.run_id, child.workspace_id, child.role) == CHILD
    assert child.tools == {"fs_read"}
    assert child.expires_at == LATER
    assert child.lineage == ("run_1",)
    assert (child.organisation_id, child.project_id, child.task_id) == ("org_1", "prj_1", "tsk_1")
    sooner = narrow(PUBLIC, parent, child=CHILD, tools=None, expires_at=NOW + timedelta(minutes=1))
    with pytest.raises(Unauthenticated, match="expired"):
        verify(PUBLIC, sooner, NOW + timedelta(minutes=1))


def test_a_coder_hands_nothing_on_to_an_architect() -> None:
    coder = mint(PRIVATE, GRANT.model_copy(update={"role": AgentRole.CODER}))
    with pytest.raises(InvalidArgument):
        narrow(PUBLIC, coder, child=("run_2", "wsp_2", AgentRole.ARCHITECT), tools=None, expires_at=LATER)
    forged = appended(
        coder, f'run("run_2", "wsp_2", "architect"); check if time($t), $t < {LATER:%Y-%m-%dT%H:%M:%SZ}'
    )
    with pytest.raises(Unauthenticated, match="widened"):
        verify(PUBLIC, forged, NOW)


BLOCK = f'run("run_9", "wsp_9", "coder"); check if time($t), $t < {LATER:%Y-%m-%dT%H:%M:%SZ}'


@pytest.mark.parametrize(
    "source",
    [
        'run("run_9", "wsp_9", "coder")',
        'run("run_9", "wsp_9", "root"); check if time($t), $t < 2099-01-01T00:00:00Z',
        'grant("org_2", "prj_2", "tsk_2")',
        'tool("sh_exec")',
        f'{BLOCK}; grant("org_2", "prj_2", "tsk_2")',
        f'{BLOCK}; tool("sh_exec")',
        f'{BLOCK}; run("run_8", "wsp_8", "coder")',
        f"{BLOCK}; time(2020-01-01T00:00:00Z)",
        f"{BLOCK}; check if true",
        f"{BLOCK}; right($x) <- run($x, $y, $z)",
        'run("run_9", "wsp_9", "coder"); check if time($t), $t < 2099-01-01T00:00:00Z or true',
    ],
)
def test_blocks_of_another_form_make_the_token_invalid(source: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(PUBLIC, appended(mint(PRIVATE, GRANT), source), NOW)


def test_expired_foreign_and_tampered_tokens_are_refused() -> None:
    token = mint(PRIVATE, GRANT)
    with pytest.raises(Unauthenticated, match="expired"):
        verify(PUBLIC, token, LATER)
    other = KeyPair()
    with pytest.raises(Unauthenticated, match="not signed"):
        verify(PUBLIC, mint(bytes(other.private_key.to_bytes()).hex(), GRANT), NOW)
    for position in range(0, len(token) - 4, 7):
        letter = "A" if token[position] != "A" else "B"
        with pytest.raises(Unauthenticated):
            verify(PUBLIC, token[:position] + letter + token[position + 1 :], NOW)
    for rubbish in ("", "x", "a b", "é", "A" * 10_000, token + "\n"):
        with pytest.raises(Unauthenticated):
            verify(PUBLIC, rubbish, NOW)


def test_a_block_of_a_third_party_and_endless_chains_are_refused() -> None:
    biscuit = Biscuit.from_base64(mint(PRIVATE, GRANT), PublicKey(f"ed25519/{PUBLIC}"))
    friend = KeyPair()
    block = biscuit.third_party_request().create_block(friend.private_key, BlockBuilder(BLOCK))
    with pytest.raises(Unauthenticated, match="third party"):
        verify(PUBLIC, biscuit.append_third_party(friend.public_key, block).to_base64(), NOW)
    token = mint(PRIVATE, GRANT)
    for _ in range(MAX_BLOCKS):
        token = appended(token, BLOCK)
    with pytest.raises(Unauthenticated, match="too often"):
        verify(PUBLIC, token, NOW)


def test_words_that_could_break_out_of_a_fact_are_refused() -> None:
    for word in ('x"); run("y', "", "a b", "x" * 65):
        with pytest.raises(InvalidArgument):
            mint(PRIVATE, GRANT.model_copy(update={"run_id": word}))


def test_no_role_hands_on_more_than_it_or_its_delegates_may() -> None:
    for holder, handed_on in DELEGATES.items():
        token = mint(PRIVATE, GRANT.model_copy(update={"role": holder}))
        for role in AgentRole:
            child = ("run_2", "wsp_2", role)
            if role in handed_on:
                narrowed = narrow(PUBLIC, token, child=child, tools=None, expires_at=LATER)
                assert verify(PUBLIC, narrowed, NOW).role is role
            else:
                with pytest.raises(InvalidArgument):
                    narrow(PUBLIC, token, child=child, tools=None, expires_at=LATER)
    # A chain of hands never leads back up.
    assert {role for role in AgentRole if AgentRole.ARCHITECT in DELEGATES[role]} == {AgentRole.ARCHITECT}
    assert {role for role in AgentRole if AgentRole.CODER in DELEGATES[role]} == set(RUN_ROLES)
    assert {role for role in AgentRole if AgentRole.PERSON in DELEGATES[role]} == {AgentRole.PERSON}


def test_a_busy_machine_does_not_make_a_good_grant_look_expired() -> None:
    untyped: Any = grants._authorizer(datetime.now(UTC))
    assert untyped.limits().max_time >= timedelta(seconds=1)
