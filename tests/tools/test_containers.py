"""Containers that an agent builds and starts, on a real engine, through every process boundary."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SERVER = """import http.server, os, pathlib
print("serving", os.environ["GREETING"], flush=True)
http.server.test(http.server.SimpleHTTPRequestHandler, port=8000, bind="127.0.0.1")
"""
DOCKERFILE = """FROM environment AS made
WORKDIR /made
RUN echo $((6*7)) > answer
FROM environment
ARG WORD=hello
ENV GREETING=$WORD
COPY web /app
COPY --from=made /made/answer /app/answer
WORKDIR /app
CMD ["python3", "server.py"]
"""


@pytest.fixture(scope="module")
async def image(hands: Any) -> str:
    """An image of a small web server, built from the workspace."""
    for path, text in {
        "site/Dockerfile": DOCKERFILE,
        "site/web/server.py": SERVER,
        "site/web/left-out.txt": "x",
        "site/.dockerignore": "web/left-*\n",
    }.items():
        assert (await hands.call("fs_write", path=path, content=text, create_dirs=True)).ok
    await hands.shell("ln -s /etc/passwd site/web/link; mkfifo site/web/fifo; chmod 600 site/web/server.py")
    said: list[str] = []

    async def progress(message: str) -> None:
        said.append(message)

    built = await hands.tools.call(
        "container_build",
        {"context": "site", "build_args": {"WORD": "hi"}},
        key="build",
        on_progress=progress,
    )
    assert built.ok, built.text
    assert built.data["ok"], built.text
    assert any("echo $((6*7))" in message for message in said)
    return str(built.data["image_id"])


async def settled(hands: Any, container_id: str) -> Any:
    """What is known of a container once its program has ended."""
    shown = await hands.call("container_inspect", container_id=container_id)
    while shown.ok and shown.data["status"] == "running":
        shown = await hands.call("container_inspect", container_id=container_id)
    return shown.data


async def test_a_container_from_start_to_removal(hands: Any, image: str) -> None:
    started = await hands.call(
        "container_run", image=image, env={"SECRET": "s3cr3t-value"}, ports=[8000, 9000]
    )
    assert started.ok, started.text
    ref = {"container_id": started.data["container_id"]}
    shown = await hands.call("container_inspect", **ref)
    while shown.data["status"] == "running" and not shown.data["ports"][0]["listening"]:
        shown = await hands.call("container_inspect", **ref)
    assert [port["listening"] for port in shown.data["ports"]] == [True, False]
    log = await hands.call("container_logs", **ref)
    assert "serving hi" in log.data["text"]
    rest = await hands.call("container_logs", **ref, cursor=log.data["next_cursor"])
    assert "serving hi" not in rest.data["text"]

    assert "SECRET" in shown.data["env_names"]
    assert "s3cr3t-value" not in str(shown.data)
    assert "/var/lib" not in str(shown.data)

    listed = await hands.call("container_list")
    assert [each["container_id"] for each in listed.data["containers"]] == [ref["container_id"]]

    inside = await hands.call(
        "container_exec", **ref, argv=["sh", "-c", "cat answer; ls; cat link; ls -l server.py"]
    )
    assert inside.data["stdout"].startswith("42\n"), inside.text
    assert "left-out" not in inside.data["stdout"]
    assert "fifo" not in inside.data["stdout"]
    assert "-rw-r--r-- 1 root" in inside.data["stdout"]
    late = await hands.call("container_exec", **ref, argv=["sleep", "30"], timeout_s=0.3)
    assert late.data["timed_out"]

    stopped = await hands.call("container_stop", **ref)
    assert (stopped.data["status"], stopped.data["exit_code"]) == ("exited", 143)
    assert "serving hi" in (await hands.call("container_logs", **ref)).data["text"]
    gone = await hands.call("container_exec", **ref, argv=["true"])
    assert gone.code == "SANDBOX_DOWN"
    assert (await hands.call("container_rm", **ref)).ok
    assert (await hands.call("container_inspect", **ref)).code == "NOT_FOUND"


async def test_a_command_replaces_the_images_and_its_end_is_told(hands: Any) -> None:
    script = "echo out; echo err >&2; exit 3"
    ran = await hands.call("container_run", image="python:3.13-slim", command=["sh", "-c", script])
    ref = {"container_id": ran.data["container_id"]}
    assert (await settled(hands, ref["container_id"]))["exit_code"] == 3
    assert sorted((await hands.call("container_logs", **ref)).data["text"].split()) == ["err", "out"]
    assert (await hands.call("container_logs", **ref, tail=1)).data["text"].count("\n") == 1
    assert (await hands.call("container_rm", **ref)).ok
    absent = await hands.call("container_run", image="python:3.13-slim", command=["no-such-program"])
    ended = await settled(hands, absent.data["container_id"])
    assert (ended["status"], ended["exit_code"]) == ("exited", 127)
    assert (await hands.call("container_rm", container_id=absent.data["container_id"])).ok
    assert (await hands.call("container_list")).data["containers"] == []
    bare = await hands.call("container_run", image="environment")
    assert (bare.ok, bare.code) == (False, "INVALID_ARGUMENT"), bare.text


async def test_a_build_that_fails_says_where_and_shows_its_log(hands: Any) -> None:
    text = "FROM environment\nRUN echo before\nRUN echo the reason; exit 7\nRUN echo never\n"
    assert (await hands.call("fs_write", path="bad/Dockerfile", content=text, create_dirs=True)).ok
    failed = await hands.call("container_build", context="bad")
    assert (failed.ok, failed.data["ok"], failed.data["image_id"]) == (True, False, None)
    assert "line 3" in failed.data["failed"]
    assert "exit code 7" in failed.data["failed"]
    assert "the reason" in failed.data["log"]
    assert "never" not in failed.data["log"]
    late = await hands.call("fs_write", path="bad/Dockerfile", content="FROM environment\nRUN sleep 60\n")
    assert late.ok
    assert (await hands.call("container_build", context="bad", timeout_s=0.5)).code == "TIMEOUT"
    assert (await hands.call("container_build", context="nowhere")).code == "NOT_FOUND"


async def test_a_run_has_only_so_many_containers(hands: Any) -> None:
    made: list[str] = []
    refused = ""
    for _ in range(9):
        outcome = await hands.call(
            "container_run", image="environment", command=["sleep", "inf"], memory_mb=64
        )
        if not outcome.ok:
            refused = outcome.code
            break
        made.append(outcome.data["container_id"])
    for container_id in made:
        assert (await hands.call("container_rm", container_id=container_id)).ok
    assert (len(made), refused) == (8, "CONFLICT")


async def test_a_cancelled_build_ends_its_builder(hands: Any) -> None:
    text = "FROM environment\nRUN sleep 3600\n"
    assert (await hands.call("fs_write", path="slow/Dockerfile", content=text, create_dirs=True)).ok
    begun = anyio.Event()

    async def progress(message: str) -> None:
        if "sleep 3600" in message:
            begun.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:

            async def build() -> None:
                await hands.tools.call(
                    "container_build", {"context": "slow"}, key="slow", on_progress=progress
                )

            group.start_soon(build)
            await begun.wait()
            group.cancel_scope.cancel()
        while await builders(hands):
            await anyio.lowlevel.checkpoint()


async def builders(hands: Any) -> list[str]:
    """The builder containers of this run, as the engine has them."""
    listed = await anyio.run_process(
        [
            "docker",
            "ps",
            "-aq",
            "--filter",
            f"label=dev.hypercode.owner={hands.run.id}",
            "--filter",
            "label=dev.hypercode.kind=build",
        ]
    )
    return listed.stdout.decode().split()
