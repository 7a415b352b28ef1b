"""Runs inside a sandbox: file verbs of the runner, while another process swaps a directory for a link to the outside.

Arguments: rounds. Prints JSON: for each verb how often it worked, was refused, and escaped. ``realpath`` is what many
servers do, look first and then open: it shows that the race can be won.
"""

import base64
import ctypes
import json
import os
import signal
import sys

sys.path.insert(0, "/opt/hypercode/runner")

import changes
import files
import listing
import moves
from beneath import Root
from refusals import Refused
from search import search

AT, EXCHANGE = -100, 2
OUTSIDE = "/tmp/outside"
os.chdir("/workspace")
libc = ctypes.CDLL(None, use_errno=True)
root = Root("/workspace")
DATA = base64.b64encode(b"inside").decode()


def prepare() -> None:
    os.makedirs("race/d", exist_ok=True)
    os.makedirs(OUTSIDE, exist_ok=True)
    for folder, text in (("race/d", "inside"), (OUTSIDE, "CANARY" * 100)):
        with open(folder + "/f", "w") as stream:
            stream.write(text)
    if not os.path.lexists("race/l"):
        os.symlink(OUTSIDE, "race/l")


def swap_forever() -> None:
    while True:
        libc.renameat2(AT, b"race/d", AT, b"race/l", EXCHANGE)


def outside() -> list:
    return sorted((name, open(OUTSIDE + "/" + name).read()) for name in os.listdir(OUTSIDE))


def realpath() -> str:
    if not os.path.realpath("race/d/f").startswith("/workspace/"):
        raise Refused("PATH_OUTSIDE", "")
    try:
        with open("race/d/f") as stream:
            return stream.read()
    except OSError as failure:
        raise Refused("NOT_FOUND", "") from failure


def change(*made: dict) -> dict:
    return changes.change(root, list(made))


def write(path: str) -> dict:
    return {"action": "write", "path": path, "data_b64": DATA}


VERBS = {
    "realpath": realpath,
    "read": lambda: base64.b64decode(files.read(root, "race/d/f", 0, 100)["data_b64"]).decode(),
    "write": lambda: files.write(root, "race/d/f", DATA),
    "write_new": lambda: files.write(root, "race/d/sub/g", DATA, create_dirs=True),
    "change": lambda: change(write("race/d/f"), write("race/d/g"), {"action": "delete", "path": "race/d/g"}),
    "rename": lambda: (
        change(write("race/d/h")),
        change({"action": "rename", "path": "race/d/h", "target": "race/d/i"}),
        moves.delete(root, "race/d/i", False),
    ),
    "move": lambda: (
        files.write(root, "race/d/m", DATA),
        moves.move(root, "race/d/m", "race/d/n/o"),
        moves.delete(root, "race/d/n", True),
    ),
    "delete": lambda: (
        files.write(root, "race/d/sub/deep/f", DATA, create_dirs=True),
        moves.delete(root, "race/d/sub", True),
    ),
    "stat": lambda: "CANARY" if listing.stat_of(root, ["race/d/f"])["entries"][0]["size"] > 100 else "",
    "tree": lambda: json.dumps(listing.tree(root, "race/d", 3, 100)),
    "glob": lambda: json.dumps(listing.glob(root, "race/**/f", 100)),
    "search": lambda: json.dumps(search(root, "CANARY", False, ["race/**"], limit=10)),
}


def rounds_of(verb: str, rounds: int) -> dict:
    seen = {"worked": 0, "refused": 0, "escaped": 0}
    before = outside()
    for _ in range(rounds):
        try:
            said = VERBS[verb]()
        except (Refused, OSError):
            seen["refused"] += 1
            continue
        seen["worked"] += 1
        seen["escaped"] += isinstance(said, str) and "CANARY" in said
    seen["escaped"] += outside() != before
    return seen


prepare()
child = os.fork()
if child == 0:
    swap_forever()
try:
    result = {verb: rounds_of(verb, int(sys.argv[1])) for verb in VERBS}
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(json.dumps(result))
