"""What people tell a run, on a live platform: words, stops, pauses and cancels, over kills."""

import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.behaviour.held_model import held_model
from tests.behaviour.person import first_admin
from tests.behaviour.platform import Platform, running
from tests.behaviour.steered import Steered, alive, of, seconds_until

from hypercode.runs.pruning import prune_snapshots
from hypercode.runs.worker import services_of
from hypercode.sandbox.names import snapshots_volume
from hypercode.settings import Settings

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
FROM_PERSON = "# From the person who gave you this task\n"


@pytest.fixture(scope="module")
def steered() -> Iterator[Steered]:
    with (
        held_model() as (model, url),
        tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory,
    ):
        folder = Path(directory)
        folder.chmod(0o711)
        environment = {"HYPERCODE_LLM__BASE_URL": f"{url}/v1", "HYPERCODE_APPROVALS__HELD_S": "0.5"}
        platform = Platform(folder / "d", environment=environment)
        with running(platform, ["--root", "/tmp"]) as live, first_admin(live) as person:
            yield Steered(live, person, model, folder)


def shell(script: str) -> tuple[str, dict[str, str]]:
    return "sh_exec", {"script": script}


@pytest.mark.promise(6)
@pytest.mark.requirement("steer:words")
def test_words_are_read_before_the_next_call_and_after_the_goal(steered: Steered) -> None:
    run_id = steered.start("Talk.")
    first = steered.model.next("Talk.")
    steer = steered.tell(run_id, "steer", text="Mind the tabs.")
    queued = steered.tell(run_id, "queue", text="Then write b.txt.")
    gone = steered.tell(run_id, "queue", text="Never mind.")
    assert (steer["state"], queued["state"]) == ("requested", "requested")
    taken_back = steered.person.post(f"/runs/{run_id}/commands/{gone['id']}/withdraw", {})
    assert (taken_back["state"], taken_back["settled_by"]) == ("withdrawn", "Ada")
    steered.kill("worker")  # what nobody has read is kept
    again = steered.model.next("Talk.")
    # The request before the kill had begun already; the one after it reads what came meanwhile.
    assert again.last == f"{FROM_PERSON}Mind the tabs."
    first.say("Nobody hears this.")
    again.say("", shell("echo a > a.txt"))
    steered.model.next("Talk.").say("The first goal is done.")
    goal = steered.model.next("Talk.")
    assert goal.last == f"{FROM_PERSON}Then write b.txt."
    assert goal.legal()
    goal.say("", shell("echo b > b.txt"))
    last = steered.model.next("Talk.")
    assert [message["role"] for message in last.messages].count("user") == 3
    steered.tell(run_id, "interrupt", text="One more thing.")
    more = steered.model.next("Talk.")
    assert more.last == f"{FROM_PERSON}One more thing."
    more.say("All done.")
    events = steered.ended(run_id)
    assert steered.commands(run_id)[steer["id"]]["state"] == "applied"
    assert steered.commands(run_id)[queued["id"]]["state"] == "applied"
    assert all(f"+{name}\n" in steered.diff(events) for name in "ab")
    settled = [(e["verb"], e["state"]) for e in of(events, "command.settled")]
    assert settled == [
        ("queue", "withdrawn"), ("steer", "applied"), ("queue", "applied"), ("interrupt", "applied"),
    ]  # fmt: skip
    late = steered.tell(run_id, "steer", text="Too late.")
    assert (late["state"], late["code"]) == ("refused", "RUN_ENDED")


@pytest.mark.promise(7)
@pytest.mark.requirement("steer:interrupt")
def test_an_interrupted_call_is_answered_and_its_processes_end(steered: Steered) -> None:
    run_id = steered.start("Interrupt.")
    first = steered.model.next("Interrupt.")
    marker = "4815162342"
    first.say(
        "", shell("echo before > a.txt"), shell(f"echo {marker}; sleep {marker}"), shell("echo never > c.txt")
    )
    seconds_until(lambda: bool(alive(f"sleep\0{marker}")), "the sleep")
    steered.tell(run_id, "interrupt", text="Not that.")
    second = steered.model.next("Interrupt.")
    assert second.legal()
    assert seconds_until(lambda: not alive(f"sleep\0{marker}"), "the death of the sleep") < 10
    answers = [message["content"] for message in second.messages if message["role"] == "tool"]
    assert ["CANCELLED" in str(answer) for answer in answers] == [False, True, True]
    assert "was not made" in str(answers[2])
    assert second.last == f"{FROM_PERSON}Not that."
    second.say("Stopped.")
    events = steered.ended(run_id)
    assert "+never" not in steered.diff(events)
    assert [e["code"] for e in of(events, "tool_call.completed")] == ["OK", "CANCELLED", "CANCELLED"]


@pytest.mark.requirement("steer:pause")
def test_a_paused_run_holds_no_worker_and_goes_on_where_it_was(steered: Steered) -> None:
    run_id = steered.start("Pause.")
    first = steered.model.next("Pause.")
    pause = steered.tell(run_id, "pause")
    assert pause["state"] == "requested"
    assert steered.tell(run_id, "pause")["code"] == "RUN_PAUSED"
    first.say("", shell("echo once >> a.txt"))
    steered.paused(run_id)
    assert steered.commands(run_id)[pause["id"]]["state"] == "applied"
    assert steered.query("SELECT parked_at IS NOT NULL FROM runs WHERE id = %s", run_id) == [(True,)]
    steered.kill("worker")
    steered.tell(run_id, "steer", text="While you slept.")
    assert steered.tell(run_id, "resume")["state"] == "applied"
    assert steered.tell(run_id, "resume")["code"] == "RUN_NOT_PAUSED"
    second = steered.model.next("Pause.")
    assert second.legal()
    assert second.last == f"{FROM_PERSON}While you slept."
    second.say("Done.")
    events = steered.ended(run_id)
    assert steered.diff(events).count("+once") == 1
    changes = [(e["status"], e["wait_reason"]) for e in of(events, "run.status_changed")]
    assert changes[:4] == [("running", None), ("waiting", "paused"), ("queued", None), ("running", None)]


PLAN = {
    "summary": "Two.",
    "items": [
        {"id": "one", "title": "One", "goal": "Child one.", "paths": ["one.txt"]},
        {"id": "two", "title": "Two", "goal": "Child two.", "paths": ["two.txt"]},
    ],
}


@pytest.mark.promise(7)
@pytest.mark.requirement("steer:tree")
def test_pause_and_cancel_reach_the_whole_tree(steered: Steered) -> None:
    run_id = steered.start("Architect it.", "architect")
    steered.model.next("Architect it.").say("", ("plan_submit", PLAN))
    steered.model.next("Architect it.").say(
        "", ("task_delegate", {"item_id": "one"}), ("task_delegate", {"item_id": "two"})
    )
    one, _two = steered.model.next("Child one."), steered.model.next("Child two.")
    children = [row[0] for row in steered.query("SELECT id FROM runs WHERE parent_run_id = %s", run_id)]
    pause = steered.tell(run_id, "pause")
    steered.paused(run_id)  # the parent waits for its children, which is a legal boundary
    assert steered.commands(run_id)[pause["id"]]["state"] == "requested"  # the children think
    one.say("Child one is done, or nearly.")
    _two.say("", shell("echo two > two.txt"))
    for child in children:
        steered.paused(child)
    assert (
        seconds_until(lambda: steered.commands(run_id)[pause["id"]]["state"] == "applied", "the pause") < 10
    )
    steered.tell(run_id, "resume")
    two = steered.model.next("Child two.")
    two.say("", shell("sleep 9081726354"))
    seconds_until(lambda: bool(alive("sleep\x009081726354")), "the sleep")
    cancel = steered.tell(run_id, "cancel")
    assert seconds_until(lambda: not alive("sleep\x009081726354"), "the death of the sleep") < 10
    events = steered.ended(run_id)
    assert events[-1]["payload"]["status"] == "cancelled"
    assert steered.commands(run_id)[cancel["id"]]["state"] == "applied"
    for child in children:
        steered.ended(child)


@pytest.mark.promise(7)
@pytest.mark.requirement("steer:cancel")
def test_a_run_that_waits_is_cancelled_wherever_it_waits(steered: Steered) -> None:
    thinking = steered.start("Think.")
    steered.model.next("Think.")
    steered.tell(thinking, "cancel")
    assert of(steered.ended(thinking), "run.finished")[0]["status"] == "cancelled"
    parked = steered.start("Park.")
    steered.model.next("Park.").say("", ("ask_user", {"question": "Which?"}))
    steered.until(parked, lambda run: run["wait_reason"] == "answer", "the question")
    pause = steered.tell(parked, "pause")
    steered.paused(parked)
    assert steered.commands(parked)[pause["id"]]["state"] == "applied"
    steered.tell(parked, "cancel")
    assert of(steered.ended(parked), "run.finished")[0]["status"] == "cancelled"
    retried = steered.tell(parked, "retry")
    steered.model.next("Park.").say("From scratch.")
    events = steered.ended(retried["made_run_id"])
    assert events[0]["payload"]["forked_from"] == parked
    assert steered.tell(retried["made_run_id"], "cancel")["code"] == "RUN_ENDED"


@pytest.mark.promise(9)
@pytest.mark.requirement("steer:history")
def test_a_run_goes_on_from_any_event_and_so_does_a_fork(steered: Steered) -> None:
    run_id = steered.start("History.")
    steered.model.next("History.").say("", shell("echo one >> one.txt"), shell("echo two >> two.txt"))
    steered.model.next("History.").say("", shell("rm one.txt && echo three > three.txt && mkdir empty"))
    steered.model.next("History.")
    done = {
        e["payload"]["call_id"]: e["seq"]
        for e in steered.events(run_id)
        if e["type"] == "tool_call.completed"
    }
    assert steered.tell(run_id, "rewind", to_seq=1)["code"] == "POINT_UNREACHABLE"
    assert steered.tell(run_id, "rewind", to_seq=10_000)["code"] == "POINT_UNREACHABLE"
    # In the middle of a step: the call that was answered by then is not made again.
    back = steered.tell(run_id, "rewind", to_seq=done["1.0"])
    second = steered.model.next("History.")
    assert steered.commands(run_id)[back["id"]]["state"] == "applied"
    assert second.legal()
    second.say("", shell("cat one.txt two.txt && ls && echo four > four.txt"))
    third = steered.model.next("History.")
    seen = str(third.messages[-1]["content"])
    assert [seen.count(word) for word in ("one\n", "two\n", "three", "empty")] == [1, 1, 0, 0]
    # The rewind is undone by going to what it left; a pause does not change that.
    steered.tell(run_id, "pause")
    third.say("", shell("touch five.txt"))
    steered.paused(run_id)
    assert steered.tell(run_id, "rewind", to_seq=done["2.0"])["state"] == "applied"
    steered.kill("worker")
    steered.tell(run_id, "resume")
    undone = steered.model.next("History.")
    assert len(undone.messages) == len(third.messages)
    undone.say("", shell("ls"))
    last = steered.model.next("History.")
    assert set(str(last.messages[-1]["content"]).split()) >= {"empty", "three.txt", "two.txt"}
    assert not {"one.txt", "four.txt", "five.txt"} & set(str(last.messages[-1]["content"]).split())
    last.say("Done.")
    events = steered.ended(run_id)
    diff = steered.diff(events)
    assert ("+three\n" in diff, "+four\n" in diff) == (True, False)
    assert steered.tell(run_id, "retry", from_failure=True)["code"] == "POINT_UNREACHABLE"
    changed = {
        path: steered.get(f"/runs/{run_id}/diff?from={done['1.0']}&to={seq}")["diff"]
        for path, seq in (("none", done["1.0"]), ("three.txt", done["2.0"]), ("whole", events[-1]["seq"]))
    }
    assert ("three" in changed["none"], "+three" in changed["three.txt"], "+three" in changed["whole"]) == (
        False, True, True,
    )  # fmt: skip

    fork = steered.tell(run_id, "fork", at_seq=done["1.0"], text="Another way.")
    forked = steered.model.next("History.")
    assert forked.last == f"{FROM_PERSON}Another way."
    assert forked.legal()
    forked.say("", shell("cat one.txt two.txt && ls"))
    after = steered.model.next("History.")
    seen = str(after.messages[-1]["content"])
    assert [seen.count(word) for word in ("one\n", "two\n", "three")] == [1, 1, 0]
    steered.tell(fork["made_run_id"], "cancel")
    steered.ended(fork["made_run_id"])
    again = steered.tell(fork["made_run_id"], "retry", from_failure=True)
    retried = steered.model.next("History.")
    assert [m["content"] for m in retried.messages] == [m["content"] for m in after.messages]
    retried.say("Done.")
    assert steered.ended(again["made_run_id"])[0]["payload"]["forked_from"] == fork["made_run_id"]

    for each in (run_id, fork["made_run_id"], again["made_run_id"]):
        replayed = steered.replayed(each)
        assert (replayed["same"], replayed["complete"]) == (True, True), replayed["divergence"]
        assert replayed["digest"] == replayed["expected_digest"]


def kept_snapshots(volume: str, *, age: bool = False) -> int:
    """How many names of snapshots a project has; made an hour older first when that is asked for."""
    script = "find /s/names -type f -name '????????????????????????????????'" + (
        " -exec touch -d '1 hour ago' {} ; -print" if age else ""
    )
    command = ["docker", "run", "--rm", "--network", "none", "-v", f"{volume}:/s", "python:3.13-slim"]
    found = subprocess.run([*command, *shlex.split(script)], capture_output=True, text=True, check=True)
    return len(found.stdout.splitlines())


async def pruned(steered: Steered) -> int:
    supervisor = json.loads((steered.platform.data_dir / "run" / "supervisor.json").read_text())
    services = services_of(Settings(data_dir=steered.platform.data_dir), supervisor["database_url"])
    try:
        return await prune_snapshots(services)
    finally:
        await services.platform.close()
        await services.verifier.close()
        await services.database.dispose()


@pytest.mark.anyio
@pytest.mark.requirement("snapshots:given-back")
async def test_an_archived_run_gives_its_snapshots_back_and_goes_on_no_more(steered: Steered) -> None:
    """Last: all ended runs become archives."""
    run_id = steered.start("Archive.")
    steered.model.next("Archive.").say("", shell("echo kept > a.txt"))
    steered.model.next("Archive.").say("Done.")
    events = steered.ended(run_id)
    ((project,),) = steered.query("SELECT project_id FROM runs WHERE id = %s", run_id)
    volume = snapshots_volume(project)
    kept = kept_snapshots(volume)
    assert kept >= 2
    assert await pruned(steered) == 0
    archived = steered.platform.command("retention", "run", "--after-days", "0", "--json")
    assert run_id in json.loads(archived.stdout)["archived"], archived.stderr
    refused = steered.tell(run_id, "fork", at_seq=events[-1]["seq"])
    assert (refused["state"], refused["code"]) == ("refused", "POINT_UNREACHABLE")
    assert ("is archived" in refused["message"], "Retry" in refused["hint"]) == (True, True)
    assert await pruned(steered) == 0, "what is young may be about to be written down"
    assert kept_snapshots(volume, age=True) == kept
    assert await pruned(steered) == kept
    assert kept_snapshots(volume) == 0
