"""P4: a secret that a process was given leaves no call, in no usual form, and no trace in the platform's memory."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from hands import Hands
from tests.fixtures.rows import everything_in

from hypercode.domain.errors import SecretInDiff
from hypercode.domain.role import AgentRole
from hypercode.platform_api import types as api
from hypercode.store.database import Database
from hypercode.store.secrets import delete_secret, set_secret, use_secrets
from hypercode.store.tables import ProjectRow, RunRow
from hypercode.tools.redaction import Redactor, forms
from hypercode.tools.secrets import Secrets

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

CANARY = "c4nary/S3cret+with space&more~zzz"
SPEAKING = {
    "plain": 'printf "%s" "$CANARY"',
    "twice": 'echo "$CANARY$CANARY"',
    "stderr": 'echo "$CANARY" >&2; exit 3',
    "base64": 'printf %s "$CANARY" | base64 -w0',
    "base64, second place": 'printf "x%s" "$CANARY" | base64 -w0',
    "base64, third place": 'printf "xx%s tail" "$CANARY" | base64 -w0',
    "base64 in lines": 'printf "%60s%s%60s" a "$CANARY" b | base64 -w 20',
    "url": "python3 -c 'import os,urllib.parse as u;print(u.quote(os.environ[\"CANARY\"]))'",
    "form": "python3 -c 'import os,urllib.parse as u;print(u.quote_plus(os.environ[\"CANARY\"]))'",
    "hex": "python3 -c 'import os;print(os.environ[\"CANARY\"].encode().hex())'",
    "json": "python3 -c 'import os,json;print(json.dumps(dict(os.environ)))'",
    "urlsafe": "python3 -c 'import os,base64;print(base64.urlsafe_b64encode(os.environ[\"CANARY\"].encode()).decode())'",
    "environment": "env; set",
    "error": "python3 -c 'import os;raise SystemExit(os.environ[\"CANARY\"])'",
    "cut off by the cap": 'python3 -c \'import os;print("y"*120 + os.environ["CANARY"] * 20)\'',
}


@pytest.fixture
async def canary(trusted_hands: Hands, database: Database, sealing: tuple[str, str]) -> Hands:
    async with database.transaction() as session:
        project = await session.get(ProjectRow, trusted_hands.run.project_id)
        assert project is not None
        await set_secret(session, sealing[1], project, "CANARY", CANARY, "a test")
    return trusted_hands


def leaked(texts: str) -> set[str]:
    return {form for form in forms(CANARY) if form in texts}


@pytest.mark.parametrize("way", SPEAKING)
async def test_no_way_of_saying_it_leaves_the_call(canary: Hands, way: str) -> None:
    cap = {"max_output": 256} if "cap" in way else {}
    outcome = await canary.call("sh_exec", script=SPEAKING[way], secrets=["CANARY"], **cap)
    assert outcome.ok, outcome.text
    assert "[secret CANARY]" in outcome.text
    assert leaked(f"{outcome.text} {outcome.data}") == set()
    assert "c4nary" not in outcome.text
    assert "more~zzz" not in outcome.text


async def test_it_is_in_one_process_and_nowhere_after(canary: Hands) -> None:
    await canary.call("sh_exec", argv=["true"], secrets=["CANARY"])
    after = await canary.call("sh_exec", script='echo "${CANARY-gone}"; cat /proc/1/environ | tr "\\0" "\\n"')
    assert "gone" in after.text
    assert "CANARY" not in after.text


async def test_a_file_that_holds_it_is_read_redacted_and_its_diff_stays_inside(canary: Hands) -> None:
    await canary.shell("true")
    written = await canary.call("sh_exec", script='echo "key = $CANARY" > note.txt', secrets=["CANARY"])
    assert written.ok, written.text
    assert (await canary.call("fs_read", path="note.txt")).data["content"] == "key = [secret CANARY]\n"
    export = api.DiffExport(run_id=canary.run.id, workspace_id=canary.run.workspace_id, message="x")
    with pytest.raises(SecretInDiff) as refused:
        await canary.platform.diff_export(export)
    assert "CANARY in a/note.txt" in refused.value.message
    assert leaked(refused.value.message) == set()
    await canary.shell("rm note.txt")
    assert (await canary.platform.diff_export(export)).diff == ""


@pytest.mark.parametrize(
    "write",
    [
        'printf "\\0\\1%s\\377" "$CANARY" > data.bin',
        'printf "caf\\351 %s" "$CANARY" > data.bin',
        'python3 -c \'import os;open("data.bin","wb").write(os.environ["CANARY"].encode("utf-16"))\'',
    ],
    ids=["bytes", "latin-1", "utf-16"],
)
async def test_a_binary_file_that_holds_it_stays_inside_too(canary: Hands, write: str) -> None:
    written = await canary.call("sh_exec", script=write, secrets=["CANARY"])
    assert written.ok, written.text
    export = api.DiffExport(run_id=canary.run.id, workspace_id=canary.run.workspace_id, message="x")
    with pytest.raises(SecretInDiff) as refused:
        await canary.platform.diff_export(export)
    assert "CANARY in a/data.bin" in refused.value.message
    await canary.shell("rm data.bin")


async def test_tests_are_given_it_too(canary: Hands) -> None:
    command = ["python3", "-c", "import os; print('have', os.environ['CANARY']); raise SystemExit(1)"]
    outcome = await canary.call("test_run", command=command, secrets=["CANARY"])
    assert "have [secret CANARY]" in outcome.text


async def test_a_process_that_goes_on_is_given_it_and_read_without_it(canary: Hands) -> None:
    script = 'printf "head %s tail" "$CANARY"'
    started = await canary.call("sh_start", script=script, secrets=["CANARY"])
    assert started.ok, started.text
    read = await canary.call("sh_read", proc_id=started.data["proc_id"], wait_ms=10000)
    assert read.ok, read.text
    assert leaked(f"{read.text} {read.data}") == set()
    assert "CANARY" in f"{read.text} {read.data}"


@pytest.mark.parametrize("names", [["MISSING"], ["CANARY", "MISSING"], ["lower"], ["PATH"], ["CANARY;id"]])
async def test_names_that_are_not_there_give_nothing(canary: Hands, names: list[str]) -> None:
    outcome = await canary.call("sh_exec", script="env", secrets=names)
    assert not outcome.ok
    assert outcome.code in ("NOT_FOUND", "INVALID_ARGUMENT")


async def test_a_name_stands_in_one_place_only(canary: Hands) -> None:
    outcome = await canary.call("sh_exec", script="env", secrets=["CANARY"], env={"CANARY": "mine"})
    assert outcome.code == "INVALID_ARGUMENT"


async def test_names_are_listed_without_values(canary: Hands) -> None:
    assert (await canary.call("secret_list")).data == {"names": ["CANARY"]}


async def test_after_a_restart_and_a_deletion_it_is_still_kept_out(
    canary: Hands, database: Database, sealing: tuple[str, str]
) -> None:
    await canary.call("sh_exec", argv=["true"], secrets=["CANARY"])
    async with database.transaction() as session:
        await delete_secret(session, canary.run.project_id, "CANARY")
    restarted = Secrets(database, sealing[0])
    await restarted.prepare(canary.run.id)
    assert restarted.redactor(canary.run.id).text(f"say {CANARY}") == "say [secret CANARY]"
    assert restarted.scrub(f"log {CANARY}") == "log [secret CANARY]"


async def test_nothing_that_the_platform_keeps_or_shows_holds_it(
    canary: Hands, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    for script in SPEAKING.values():
        await canary.call("sh_exec", script=script, secrets=["CANARY"])
    kept = await everything_in(database)
    assert "secret.used" in kept
    assert "[secret CANARY]" in kept
    assert leaked(kept) == set()
    transport = httpx2.AsyncHTTPTransport(uds=str(canary.socket))
    async with httpx2.AsyncClient(transport=transport, base_url="http://tools") as client:
        metrics = (await client.get("/metrics")).text
    assert "hypercode_tool_calls_total" in metrics
    assert leaked(metrics) == set()
    said = capfd.readouterr()
    assert leaked(said.out + said.err) == set()


async def test_a_child_that_begins_with_its_parents_files_keeps_the_parents_secrets_out(
    new_run: Callable[..., Awaitable[RunRow]], database: Database, sealing: tuple[str, str]
) -> None:
    parent = await new_run(AgentRole.ARCHITECT)
    child = await new_run(AgentRole.CODER, parent=parent)
    async with database.transaction() as session:
        project = await session.get_one(ProjectRow, parent.project_id)
        await set_secret(session, sealing[1], project, "CANARY", CANARY, "a test")
        await use_secrets(session, parent, ["CANARY"])
    secrets = Secrets(database, sealing[0])
    await secrets.prepare(child.id)
    assert secrets.redactor(child.id).text(f"say {CANARY}") == "say [secret CANARY]"
    with pytest.raises(SecretInDiff):
        await secrets.check_diff(child.id, f"diff --git a/x b/x\n+{CANARY}\n")
    await secrets.forget(child.id)
    await secrets.prepare(parent.id)
    assert secrets.redactor(parent.id).text(f"say {CANARY}") == "say [secret CANARY]"


async def test_a_coder_has_to_ask(hands: Hands) -> None:
    outcome = await hands.call("sh_exec", argv=["env"], secrets=["ANY"])
    assert outcome.code == "PENDING_APPROVAL"


def test_parts_at_the_edges_of_a_page_are_taken_away() -> None:
    redactor = Redactor([("CANARY", CANARY)])
    for cut in range(6, len(CANARY) - 5):
        first, second = redactor.text(f"log {CANARY[:cut]}"), redactor.text(f"{CANARY[cut:]} end")
        assert (first, second) == ("log [secret CANARY]", "[secret CANARY] end")
