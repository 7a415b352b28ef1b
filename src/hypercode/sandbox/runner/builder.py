"""Builds an environment: runs its steps in the builder container and reports each as a JSON line.

The argument is JSON: {"steps": [{"phase", "run", "fallback", "note"}], "env": {...}}. The last line is
{"type": "done"} or {"type": "failed", "phase", "log"}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import proxy_relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

KEPT = 40
SHOWN = (
    "Collecting ",
    "Installing ",
    "Building ",
    "Successfully ",
    "Preparing ",
    "Obtaining ",
    "ERROR",
    "error:",
)
PASSWD = "sandbox:x:10001:10001:sandbox:/home/sandbox:/bin/sh\n"


def say(kind: str, **fields: str) -> None:
    """Print one line for sandboxd."""
    sys.stdout.write(json.dumps(dict(fields, type=kind)) + "\n")
    sys.stdout.flush()


def environment(extra: dict[str, str]) -> dict[str, str]:
    """Return the variables of the steps: the way out, certificates, and no caches in the image."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HYPERCODE_")}
    env.update(extra)
    # An image that was built with a way out has the empty folder where it was.
    if os.path.ismount("/egress"):
        url = proxy_relay.start()
        env.update(HTTPS_PROXY=url, https_proxy=url, HTTP_PROXY=url, http_proxy=url)
        if os.path.exists(proxy_relay.CA_FILE):
            for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
                         "NODE_EXTRA_CA_CERTS"):  # fmt: skip
                env[name] = proxy_relay.CA_FILE
    os.makedirs(env["HOME"], exist_ok=True)
    return env


def run(phase: str, command: str, env: dict[str, str]) -> tuple[bool, list[str]]:
    """Run one shell line, saying what it says; return (worked, last lines)."""
    say("progress", phase=phase, message="$ " + command[:300])
    process = subprocess.Popen(  # noqa: S602 - set-up lines are shell lines, in a container made for them
        command, shell=True, cwd="/workspace", env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    last: list[str] = []
    said = 0.0
    for raw in process.stdout or ():
        line = raw.decode("utf-8", "replace").rstrip()[:500]
        last = [*last[-(KEPT - 1) :], line]
        if line.lstrip().startswith(SHOWN) and time.monotonic() - said > 0.2:
            said = time.monotonic()
            say("progress", phase=phase, message=line.strip()[:200])
    return process.wait() == 0, last


def add_user() -> None:
    """Give the sandbox user a name, so that programs that ask for one get an answer."""
    for path, line in (("/etc/passwd", PASSWD), ("/etc/group", "sandbox:x:10001:\n")):
        with open(path, "r+") as stream:
            if ":10001:" not in stream.read():
                stream.write(line)


def main() -> None:
    """Run the steps until one fails for good."""
    asked: dict[str, Any] = json.loads("".join(sys.argv[1:]))
    env = environment(asked["env"])
    add_user()
    for step in asked["steps"]:
        worked, log = run(step["phase"], step["run"], env)
        if not worked and step.get("fallback"):
            say("progress", phase=step["phase"], message=step["note"])
            worked, more = run(step["phase"], step["fallback"], env)
            log = (log + more)[-KEPT:]
        if not worked:
            say("failed", phase=step["phase"], log="\n".join(log))
            return
    say("done")


if __name__ == "__main__":
    main()
