"""The store of snapshots by itself, without a container: any tree comes back as it was, whoever is killed meanwhile."""

import hashlib
import importlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RUNNER = Path(__file__).parents[2] / "src/hypercode/sandbox/runner"
WORKSPACE = "wsp_1"

Seen = dict[str, tuple[object, ...]]


def modules(*names: str) -> list[Any]:
    """The runner's modules, as they lie beside each other in a container."""
    sys.path.insert(0, str(RUNNER))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(RUNNER))


@contextmanager
def runner(store: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Taking, pruning, and opening a work tree, on a store of their own."""
    snapshots, kept, prune, beneath = modules("snapshots", "snapshot_store", "snapshot_prune", "beneath")
    snapshots._state.clear()
    snapshots._state["store"] = kept.Store(str(store))
    try:
        yield snapshots, prune, beneath.Root
    finally:
        snapshots._state.clear()


def seen(folder: Path) -> Seen:
    """Everything that there is below a folder: kind, mode, time, link text, content."""
    found: Seen = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        what: object = b""
        if stat.S_ISREG(status.st_mode):
            what = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            what = os.readlink(path)
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, what)
    return found


NAMES = st.sampled_from(["a", "b", "c", ".git", ".env", "odd\udcff", "ü", "with space", "-x", "HEAD"])
LARGE = {"zeros": b"\0" * 2_000_000, "pieces": bytes(range(256)) * 5000, "one piece": b"x" * (1 << 19)}
CONTENTS = st.one_of(st.binary(max_size=200), st.sampled_from(sorted(LARGE)))
LEAVES = st.one_of(
    st.tuples(st.just("file"), CONTENTS, st.sampled_from([0o644, 0o755, 0o600, 0o444, 0o4755])),
    st.tuples(st.just("link"), st.sampled_from(["a", "../..", "/etc/passwd", "nowhere"])),
    st.tuples(st.just("fifo")),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=4),
    lambda below: st.dictionaries(NAMES, st.one_of(LEAVES, below), max_size=4),
    max_leaves=12,
)


def lay_out(folder: Path, tree: dict[str, Any]) -> None:
    """Make a folder exactly this tree, leaving alone what is right already, as a program that writes does."""
    for old in folder.iterdir():
        if (
            old.name not in tree
            or old.is_symlink()
            or not old.is_dir()
            or not isinstance(tree[old.name], dict)
        ):
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name, what in tree.items():
        path = folder / name
        if isinstance(what, dict):
            path.mkdir(exist_ok=True)
            lay_out(path, what)
        elif what[0] == "file":
            path.write_bytes(LARGE.get(what[1], what[1]))
            path.chmod(what[2])
        elif what[0] == "link":
            path.symlink_to(what[1])
        else:
            os.mkfifo(path)


@given(trees=st.lists(TREES, min_size=2, max_size=5), anew=st.booleans(), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_tree_comes_back_as_it_was(trees: list[dict[str, Any]], anew: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as home:
        work, store = Path(home) / "w", Path(home) / "s"
        work.mkdir()
        store.mkdir()
        with runner(store) as (snapshots, prune, root):
            taken: list[tuple[str, Seen]] = []
            for tree in trees:
                lay_out(work, tree)
                before = seen(work)
                taken.append((snapshots.take(root(str(work)), WORKSPACE)["snapshot_id"], before))
                assert seen(work) == before, "taking one changes nothing"
                if anew:
                    snapshots._state.pop(WORKSPACE, None)
            prune.prune(snapshots._store(), {}, 0)
            for snapshot_id, wanted in data.draw(st.permutations(taken)):
                there = seen(work)
                back = snapshots.restore(root(str(work)), WORKSPACE, snapshot_id)
                assert seen(work) == wanted
                snapshots.restore(root(str(work)), WORKSPACE, back["undo_id"])
                assert seen(work) == there
                snapshots.restore(root(str(work)), WORKSPACE, snapshot_id)


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    work, store = tmp_path / "w", tmp_path / "s"
    work.mkdir()
    store.mkdir()
    with runner(store) as (snapshots, _prune, root):
        place = root(str(work))
        for number in range(40):
            (work / "f").write_bytes(b"%04d" % number)
            os.utime(work / "f", ns=(1, 1))
            taken = snapshots.take(place, WORKSPACE)
            _snapshot, tree = snapshots._store().tree(WORKSPACE, taken["snapshot_id"])
            assert tree.rows["f"][3] == hashlib.sha256(b"%04d" % number).hexdigest()


def test_a_store_costs_at_most_twice_what_changed(tmp_path: Path) -> None:
    work, store = tmp_path / "w", tmp_path / "s"
    work.mkdir()
    store.mkdir()
    for number in range(400):
        (work / f"d{number % 20}").mkdir(exist_ok=True)
        (work / f"d{number % 20}" / f"f{number}").write_bytes(os.urandom(2000))
    with runner(store) as (snapshots, _prune, root):
        snapshots.take(root(str(work)), WORKSPACE)
        first, changed = used(store), 0
        for number in range(100):
            path = work / f"d{number % 20}" / f"f{number}"
            path.write_bytes(os.urandom(1000) + path.read_bytes())
            changed += path.stat().st_size
            snapshots.take(root(str(work)), WORKSPACE, key=str(number))
        # A log that grows costs its end, not all of it again.
        with (work / "log").open("ab") as log:
            for number in range(5):
                log.write(os.urandom(3_000_000))
                log.flush()
                changed += 3_000_000
                snapshots.take(root(str(work)), WORKSPACE, key=f"log {number}")
        assert used(store) - first <= 2 * changed


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "index")


def test_names_go_and_what_others_need_stays(tmp_path: Path) -> None:
    work, store = tmp_path / "w", tmp_path / "s"
    work.mkdir()
    store.mkdir()
    with runner(store) as (snapshots, prune, root):
        place, keeper = root(str(work)), snapshots._store()
        ids: list[str] = []
        for number in range(6):
            for each in range(80 if number == 3 else 2):
                (work / f"f{number}.{each}").write_bytes(os.urandom(500))
            ids.append(snapshots.take(place, WORKSPACE)["snapshot_id"])
            snapshots.take(place, "other")
            (work / f"f{number}.0").unlink()
        assert prune.prune(keeper, {WORKSPACE: ids}, 600)["names"] == 0, "too young"
        gone = prune.prune(keeper, {WORKSPACE: ids[:2] + ids[5:]}, 0)
        assert gone["names"] == 1, "the first two are what the others are made from"
        assert gone["objects"] == 0, "the other workspace needs them all"
        assert prune.prune(keeper, {WORKSPACE: ids}, 0)["names"] == 5
        assert whole(store) == len(ids)
        assert prune.names(keeper).keys() == {"other"}
        done = prune.prune(keeper, {"other": prune.names(keeper)["other"]}, 0)
        assert done["names"] == len(ids)
        assert done["bytes"] > 80 * 500
        assert not [path for path in (store / "packs").iterdir()]
        assert not [path for path in (store / "objects").rglob("*") if path.is_file()]
        snapshots.take(place, WORKSPACE)
        assert whole(store) == 1


def test_a_pack_that_is_mostly_dead_is_written_anew(tmp_path: Path) -> None:
    work, store = tmp_path / "w", tmp_path / "s"
    work.mkdir()
    store.mkdir()
    with runner(store) as (snapshots, prune, root):
        place, keeper = root(str(work)), snapshots._store()
        for each in range(100):
            (work / f"f{each}").write_bytes(os.urandom(500))
        first = snapshots.take(place, WORKSPACE)["snapshot_id"]
        for each in range(90):
            (work / f"f{each}").unlink()
        snapshots.take(place, "other")
        done = prune.prune(keeper, {WORKSPACE: [first]}, 0)
        assert done["objects"] == 90
        assert used(store / "packs") < 12_000
        assert whole(store) == 1


def whole(store: Path) -> int:
    """Read every snapshot of a store to its last byte, as a fresh process does; return how many there are."""
    kept, prune = modules("snapshot_store", "snapshot_prune")
    keeper = kept.Store(str(store))
    number = 0
    with keeper.held():
        for workspace, ids in prune.names(keeper).items():
            for each in ids:
                _snapshot, tree = keeper.tree(workspace, each)
                for _path, row in tree.walk():
                    if row[0] == "file":
                        assert sum(map(len, keeper.content(row[3]))) == row[4]
                number += 1
    return number


# One process takes and restores on its own workspace until it is killed, another prunes until it is killed.
TAKER = """
import os, random, sys
sys.path.insert(0, sys.argv[1])
import snapshots, snapshot_store
from beneath import Root
snapshots._state["store"] = snapshot_store.Store(sys.argv[2])
work, name, number = sys.argv[3], sys.argv[4], int(sys.argv[5])
root, ids = Root(work), []
print("ready", flush=True)
while True:
    number += 1
    for each in range(random.choice([1, 3, 90])):
        with open(os.path.join(work, "f%d" % random.randrange(200)), "wb") as stream:
            stream.write(os.urandom(random.randrange(3000)))
    taken = snapshots.take(root, name, key="%s %d" % (name, number))
    print(taken["snapshot_id"], flush=True)
    ids.append(taken["snapshot_id"])
    if number % 5 == 0:
        snapshots.restore(root, name, random.choice(ids), key="back %d" % number)
"""
PRUNER = """
import sys
sys.path.insert(0, sys.argv[1])
import snapshot_prune, snapshot_store
print("ready", flush=True)
while True:
    store = snapshot_store.Store(sys.argv[2])
    names = snapshot_prune.names(store)
    # What belongs to nobody any more: every other snapshot of the workspaces of which the run is gone.
    snapshot_prune.prune(store, {w: ids[::2] for w, ids in names.items() if w.startswith("gone")}, 0)
    print("pruned", flush=True)
"""


def run_until_killed(script: str, store: Path, enough: int, *arguments: str) -> list[str]:
    """Start a script and kill it with -9 once it has said so many lines; return what it said."""
    argv = [sys.executable, "-c", script, str(RUNNER), str(store), *arguments]
    lines: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            if len(lines) == enough:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return lines[1:]


def test_nothing_that_is_named_is_lost_with_takes_restores_and_prunes_killed(tmp_path: Path) -> None:
    store = tmp_path / "s"
    for folder in ("s", "live", "other"):
        (tmp_path / folder).mkdir()
    kept: set[str] = set()
    for round_ in range(5):
        number = str(round_ * 1000)
        with ThreadPoolExecutor(3) as pool:
            live = pool.submit(run_until_killed, TAKER, store, 9, str(tmp_path / "live"), "live", number)
            pool.submit(run_until_killed, TAKER, store, 7, str(tmp_path / "other"), f"gone{round_}", number)
            pool.submit(run_until_killed, PRUNER, store, 4)
        kept.update(live.result())
    assert whole(store) >= len(kept) > 30
    assert kept <= set(os.listdir(store / "names" / "live")), "what was said to be kept is kept"


def test_a_damaged_content_is_never_restored_silently(tmp_path: Path) -> None:
    work, store = tmp_path / "w", tmp_path / "s"
    work.mkdir()
    store.mkdir()
    (work / "f").write_bytes(b"right")
    with runner(store) as (snapshots, _prune, root):
        taken = snapshots.take(root(str(work)), WORKSPACE)
        (place,) = [path for path in (store / "objects").rglob("*") if path.is_file()]
        place.write_bytes(b"rwrong")
        (work / "f").write_bytes(b"now")
        with pytest.raises(Exception, match="damaged"):
            snapshots.restore(root(str(work)), WORKSPACE, taken["snapshot_id"])
        assert (work / "f").read_bytes() == b"now"
        assert not [path for path in work.iterdir() if path.name.startswith(".hypercode-")]


def test_the_index_of_a_helper_that_is_gone_spares_its_successor_the_reading(tmp_path: Path) -> None:
    work, store = tmp_path / "w", tmp_path / "s"
    work.mkdir()
    store.mkdir()
    for number in range(300):
        (work / f"f{number}").write_text(str(number))
    with runner(store) as (snapshots, _prune, root):
        place = root(str(work))
        first = snapshots.take(place, WORKSPACE)
        while snapshots.take(place, WORKSPACE)["read"]:
            continue  # what was written within a tick of the clock is read again until it is older
        index = json.loads(snapshots._store().get(WORKSPACE, "index"))
        assert sum(map(len, index.values())) > 0
        snapshots._state.pop(WORKSPACE)
        again = snapshots.take(place, WORKSPACE)
        assert again["snapshot_id"] == first["snapshot_id"]
        assert again["read"] < 300
