"""The part of the Dockerfile language that is built, what is left out of it, and what is refused. Pure."""

import pytest

from hypercode.domain.errors import InvalidArgument
from hypercode.sandbox.dockerfiles import ImageSettings, Recipe, parse, recipe, stages, words


def built(text: str, *, target: str | None = None, base: ImageSettings | None = None, **args: str) -> Recipe:
    plan = stages(parse(text), args, target)
    return recipe(plan[-1], base or ImageSettings(env={"PATH": "/bin"}), [stage.name for stage in plan[:-1]])


def test_settings_and_steps_follow_the_lines() -> None:
    made = built(
        """# a comment
ARG TAG=3.13
FROM python:${TAG}-slim AS base
ARG WHO=you
ENV A=1 B="two words" \\
    # a comment in the middle
    C='$A' PATH=/opt/bin:$PATH
ENV OLD style of it
WORKDIR /app
WORKDIR src
RUN echo "hello $WHO" && \\
    true
COPY --chmod=0750 a.txt "b c.txt" dest/
CMD ["python3", "-m", "app"]
""",
        WHO="me",
    )
    assert made.settings.env == {
        "A": "1", "B": "two words", "C": "$A", "PATH": "/opt/bin:/bin", "OLD": "style of it",
    }  # fmt: skip
    assert (made.settings.workdir, made.settings.command) == ("/app/src", ("python3", "-m", "app"))
    directory, inner, run, copy = made.steps
    assert (directory["path"], inner["path"]) == ("/app", "/app/src")
    assert run["argv"] == ["/bin/sh", "-c", 'echo "hello $WHO" &&     true']
    assert (run["env"]["WHO"], run["cwd"]) == ("me", "/app/src")
    assert (copy["names"], copy["to"], copy["mode"]) == (["a.txt", "b c.txt"], "/app/src/dest/", 0o750)


def test_stages_copy_from_those_before_them() -> None:
    text = "FROM a AS one\nRUN true\nFROM one AS two\nCOPY --from=one /x /y\nCOPY --from=0 x /y\nFROM two\nRUN false\n"
    assert [step["source"] for step in built(text, target="two").steps] == [0, 0]
    assert stages(parse(text), {}, "one")[0].base == "a"
    with pytest.raises(InvalidArgument, match="earlier stages"):
        built("FROM a\nCOPY --from=python:3.13 /x /y\n")
    with pytest.raises(InvalidArgument, match="no stage"):
        built(text, target="three")


def test_an_entrypoint_ends_the_command_it_was_made_for() -> None:
    base = ImageSettings(entrypoint=("/old",), command=("x",))
    assert built("FROM a\nENTRYPOINT /new now\n", base=base).settings == ImageSettings(
        entrypoint=("/bin/sh", "-c", "/new now")
    )
    assert built('FROM a\nCMD ["y"]\n', base=base).settings.entrypoint == ("/old",)


def test_what_steers_a_container_is_left_out_and_said() -> None:
    made = built(
        "FROM a\nUSER root\nVOLUME /data\nHEALTHCHECK CMD curl -f http://169.254.169.254/\n"
        'LABEL com.docker.volumes="/:/host"\nEXPOSE 22\nSTOPSIGNAL SIGKILL\nMAINTAINER me\nRUN true\n'
    )
    assert [step["op"] for step in made.steps] == ["run"]
    assert [note.split(":")[0] for note in made.notes] == [f"line {number}" for number in range(2, 9)]


@pytest.mark.parametrize(
    "text",
    [
        "# syntax=evil.example.org/frontend:1\nFROM a\n",
        "#SYNTAX = x\nFROM a\n",
        "# escape=`\nFROM a\n",
        "FROM a\nRUN --mount=type=bind,source=/,target=/host cat /host/etc/shadow\n",
        "FROM a\nRUN --mount=type=secret,id=x true\n",
        "FROM a\nRUN --mount=type=ssh true\n",
        "FROM a\nRUN --network=host true\n",
        "FROM a\nRUN --security=insecure true\n",
        "FROM a\nRUN \\\n  --security=insecure true\n",
        "FROM --platform=linux/arm64 a\nRUN true\n",
        "FROM a\nADD https://example.org/x /x\n",
        "FROM a\nADD git@example.org:x/y.git /x\n",
        'FROM a\nADD ["HTTP://example.org/x", "/x"]\n',
        "FROM a\nARG U=https://example.org\nADD $U/x /x\n",
        "FROM a\nADD --checksum=sha256:0 x /x\n",
        "FROM a\nCOPY ../../etc/passwd /x\n",
        "FROM a\nCOPY --link x /x\n",
        "FROM a\nCOPY x\n",
        "FROM a\nRUN <<EOF\nid\nEOF\n",
        "FROM a\nONBUILD RUN id\n",
        'FROM a\nSHELL ["/bin/bash", "-c"]\nRUN id\n',
        "FROM $NOWHERE\nRUN id\n",
        "FROM scratch\nCOPY x /x\n",
        "FROM a AS x\nFROM b AS x\n",
        "RUN id\nFROM a\n",
        "FROM a\nFLY away\n",
        "FROM a\nENV 1=x\n",
        "FROM a\nRUN\n",
        "FROM a\nRUN a\x00b\n",
        "FROM a\nRUN a\x1bb\n",
        "\x00",
        "",
        "FROM a\n" + "RUN true\n" * 300,
        "FROM a\nRUN " + "x" * 70_000,
    ],
)  # fmt: skip
def test_what_reaches_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        built(text)


def test_words_are_split_as_a_shell_would() -> None:
    known = {"A": "x y", "EMPTY": ""}
    assert words("a  b\\ c '$A' \"$A\" ${A}z ${NO:-d} ${A:+e}", known) == [
        "a", "b c", "$A", "x y", "x yz", "d", "e",
    ]  # fmt: skip
    assert words('"" $EMPTY', known) == ["", ""]
