"""Dockerfiles of agents: the closed part of the language that we build, read by the same code that carries it out.

So nothing can be read one way here and another way by a builder. What steers a container (USER, VOLUME,
HEALTHCHECK, labels) is left out and said so; what reaches out of the build (frontends, mounts, networks, remote
files, ONBUILD) is refused. Pure.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hypercode.domain.errors import InvalidArgument

MAX_TEXT = 64 * 1024
MAX_INSTRUCTIONS = 200
SHELL = ["/bin/sh", "-c"]
LEFT_OUT = {
    "USER": "a build runs as root of its own container, what is built as uid 10001",
    "VOLUME": "a container has no volumes",
    "HEALTHCHECK": "deploy says how health is checked",
    "LABEL": "labels are the platform's",
    "MAINTAINER": "labels are the platform's",
    "EXPOSE": "container_run and deploy name the port",
    "STOPSIGNAL": "the signal is always SIGTERM",
}
FLAGS = {"COPY": {"from", "chmod", "chown"}, "ADD": {"chmod", "chown"}}
_DIRECTIVE = re.compile(r"#\s*(syntax|escape)\s*=", re.I)
_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)(?:\s+(.*))?", re.S)
_FLAG = re.compile(r"--([a-z]+)(?:=(\S*))?\s*")
_HEREDOC = re.compile(r"<<-?[\"']?[A-Za-z_]")
_FROM = re.compile(r"(\S+)(?:\s+[Aa][Ss]\s+([A-Za-z0-9_.-]+))?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^}]*))?\})")
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@", re.I)


@dataclass(frozen=True)
class Instruction:
    """One instruction, where it stands, and its flags taken off."""

    line: int
    name: str
    flags: Mapping[str, str]
    text: str

    def refuse(self, why: str, hint: str = "") -> InvalidArgument:
        """Return the error that says why this instruction can't be."""
        return InvalidArgument(f"Dockerfile line {self.line}: {self.name} {why}", hint=hint)


@dataclass(frozen=True)
class Stage:
    """What follows one FROM. ``base`` names an image or an earlier stage."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]
    arguments: Mapping[str, str]


@dataclass(frozen=True)
class ImageSettings:
    """What an image says of the container that runs it."""

    env: Mapping[str, str] = field(default_factory=dict[str, str])
    workdir: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """The steps of a stage, each for ``runner/image_builder.py``, and what comes out."""

    steps: list[dict[str, Any]]
    settings: ImageSettings
    notes: list[str]


def parse(text: str) -> list[Instruction]:
    """Split a Dockerfile into instructions; raises InvalidArgument."""
    if len(text) > MAX_TEXT:
        raise InvalidArgument("the Dockerfile is over 64 KiB")
    found: list[Instruction] = []
    joined, start = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        bare = line.strip()
        if bare.startswith("#") or not bare:
            if _DIRECTIVE.match(bare):
                raise InvalidArgument(
                    f"Dockerfile line {number}: frontends and escape characters are not taken"
                )
            continue
        start = start or number
        joined += line.rstrip()
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        found.append(_instruction(joined, start))
        joined, start = "", 0
    if joined.strip():
        found.append(_instruction(joined, start))
    if len(found) > MAX_INSTRUCTIONS:
        raise InvalidArgument(f"the Dockerfile has more than {MAX_INSTRUCTIONS} instructions")
    return found


def _instruction(text: str, line: int) -> Instruction:
    if any(ord(char) < 32 and char != "\t" for char in text):
        raise InvalidArgument(f"Dockerfile line {line}: control characters")
    match = _INSTRUCTION.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"Dockerfile line {line}: no instruction: {text.strip()[:60]!r}")
    name, rest = match[1].upper(), (match[2] or "").strip()
    flags: dict[str, str] = {}
    # Also where flags are no flags to us: `RUN --mount=...` must not become a command.
    while rest.startswith("--") and (flag := _FLAG.match(rest)):
        flags[flag[1]] = flag[2] or ""
        rest = rest[flag.end() :]
    instruction = Instruction(line, name, flags, rest)
    _refuse_what_reaches_out(instruction)
    return instruction


def _refuse_what_reaches_out(instruction: Instruction) -> None:
    unknown = sorted(set(instruction.flags) - FLAGS.get(instruction.name, set()))
    if unknown and instruction.name not in LEFT_OUT:
        raise instruction.refuse(f"can't have --{unknown[0]}")
    if instruction.name in ("RUN", "COPY", "ADD") and _HEREDOC.search(instruction.text):
        raise instruction.refuse(
            "can't have a here-document", "Write a script into the workspace and COPY it."
        )
    if not instruction.text and instruction.name not in LEFT_OUT:
        raise instruction.refuse("says nothing")


def stages(instructions: list[Instruction], arguments: Mapping[str, str], target: str | None) -> list[Stage]:
    """Return the stages that ``target`` (None: the last) needs at most, in order; raises InvalidArgument."""
    given: dict[str, str] = {}
    found: list[Stage] = []
    for each in instructions:
        if each.name == "FROM":
            found.append(_stage(each, given, found, arguments))
        elif found:
            found[-1] = replace(found[-1], instructions=(*found[-1].instructions, each))
        elif each.name == "ARG":
            given |= _argument(each, {**given}, arguments)
        else:
            raise each.refuse("stands before FROM")
    if not found:
        raise InvalidArgument("the Dockerfile has no FROM")
    if target is None:
        return found
    names = [stage.name for stage in found]
    if target not in names:
        raise InvalidArgument(f"the Dockerfile has no stage {target[:60]!r}")
    return found[: names.index(target) + 1]


def _stage(
    each: Instruction, given: Mapping[str, str], before: list[Stage], arguments: Mapping[str, str]
) -> Stage:
    match = _FROM.fullmatch(each.text)
    if match is None:
        raise each.refuse("is not `FROM image` or `FROM image AS name`")
    base = expand(match[1], given)
    if not base or base == "scratch":
        raise each.refuse("names no image that can be built on")
    name = (match[2] or str(len(before))).lower()
    if name in [stage.name for stage in before]:
        raise each.refuse(f"gives the name {name!r} twice")
    return Stage(name, base, (), arguments)


def _argument(each: Instruction, known: Mapping[str, str], arguments: Mapping[str, str]) -> dict[str, str]:
    """Return what an ARG sets, {} when it has no value."""
    name, has_default, default = each.text.partition("=")
    if not _NAME.fullmatch(name):
        raise each.refuse("is not `ARG name` or `ARG name=value`")
    if name in arguments:
        return {name: arguments[name]}
    return {name: " ".join(words(default, known))} if has_default else {}


def recipe(stage: Stage, base: ImageSettings, earlier: list[str]) -> Recipe:
    """Turn a stage into steps; ``earlier`` are the names of the stages before it."""
    writer = _Writer(stage, base, earlier)
    for each in stage.instructions:
        writer.take(each)
    return writer.recipe()


class _Writer:
    """Goes through a stage, and knows the variables and the directory at each point."""

    def __init__(self, stage: Stage, base: ImageSettings, earlier: list[str]) -> None:
        self._given = stage.arguments
        self._earlier = earlier
        self._arguments: dict[str, str] = {}
        self._settings = base
        self._env = dict(base.env)
        self._steps: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._own_command = False

    def recipe(self) -> Recipe:
        return Recipe(self._steps, replace(self._settings, env=self._env), self._notes)

    def take(self, each: Instruction) -> None:
        """Carry an instruction over into steps or settings."""
        if each.name in LEFT_OUT:
            self._notes.append(f"line {each.line}: {each.name} is left out: {LEFT_OUT[each.name]}")
            return
        takes = {
            "RUN": self._run,
            "COPY": self._copy,
            "ADD": self._copy,
            "WORKDIR": self._workdir,
            "ENV": self._set_env,
            "ARG": self._argue,
            "CMD": self._command,
            "ENTRYPOINT": self._entrypoint,
        }
        if each.name not in takes:
            raise each.refuse("is not built here")
        takes[each.name](each)

    def _argue(self, each: Instruction) -> None:
        self._arguments |= _argument(each, self._known(), self._given)

    def _known(self) -> dict[str, str]:
        return {**self._arguments, **self._env}

    def _step(self, each: Instruction, op: str, **more: Any) -> None:
        shown = f"line {each.line}: {each.name} {each.text}"[:300]
        self._steps.append({"op": op, "show": shown, **more})

    def _run(self, each: Instruction) -> None:
        argv = _json_words(each.text) or [*SHELL, each.text]
        self._step(each, "run", argv=argv, env=self._known(), cwd=self._settings.workdir)

    def _copy(self, each: Instruction) -> None:
        named = _json_words(each.text) or words(each.text, self._known())
        if len(named) < 2:
            raise each.refuse("needs a source and a destination")
        *sources, destination = named
        for source in sources:
            if _REMOTE.match(source):
                raise each.refuse("can't fetch anything", "Put the file into the workspace.")
            if ".." in source.split("/"):
                raise each.refuse("can't leave the context")
        mode = each.flags.get("chmod", "")
        if mode and not re.fullmatch(r"[0-7]{3,4}", mode):
            raise each.refuse("takes an octal --chmod")
        if "chown" in each.flags:
            self._notes.append(f"line {each.line}: --chown is left out: everybody may read what is copied")
        ending = "/" if destination.endswith(("/", "/.")) or destination == "." else ""
        self._step(
            each,
            "copy",
            source=self._source(each),
            names=[source.lstrip("/") or "." for source in sources],
            to=self._place(destination).rstrip("/") + ending or "/",
            mode=int(mode, 8) & 0o777 if mode else 0,
        )

    def _source(self, each: Instruction) -> int | None:
        """The number of the stage to copy from, None for the context."""
        if "from" not in each.flags:
            return None
        name = each.flags["from"].lower()
        if name in self._earlier:
            return self._earlier.index(name)
        if name.isdecimal() and int(name) < len(self._earlier):
            return int(name)
        raise each.refuse("can copy from the context and from earlier stages only")

    def _place(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self._settings.workdir, path))

    def _workdir(self, each: Instruction) -> None:
        place = self._place(" ".join(words(each.text, self._known())))
        self._settings = replace(self._settings, workdir=place)
        self._step(each, "directory", path=place)

    def _set_env(self, each: Instruction) -> None:
        first, _, rest = each.text.partition(" ")
        if "=" not in first:
            pairs = {first: " ".join(words(rest.strip(), self._known()))}
        else:
            split = [word.partition("=") for word in words(each.text, self._known())]
            pairs = {name: value for name, _, value in split}
        for name in pairs:
            if not _NAME.fullmatch(name):
                raise each.refuse(f"names no variable: {name[:60]!r}")
        self._env |= pairs

    def _command(self, each: Instruction) -> None:
        argv = _json_words(each.text) or [*SHELL, each.text]
        self._own_command = True
        self._settings = replace(self._settings, command=tuple(argv))

    def _entrypoint(self, each: Instruction) -> None:
        argv = _json_words(each.text) or [*SHELL, each.text]
        command = self._settings.command if self._own_command else ()
        self._settings = replace(self._settings, entrypoint=tuple(argv), command=command)


def _json_words(text: str) -> list[str] | None:
    """Return the words of the JSON form, None for the other one."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in cast(list[object], value)):
        return None
    return cast(list[str], value) or None


def expand(text: str, known: Mapping[str, str]) -> str:
    """Put the values of variables in; one that is not known is empty."""

    def value(match: re.Match[str]) -> str:
        found = known.get(match[1] or match[2], "")
        if match[3] == "-":
            return found or match[4]
        if match[3] == "+":
            return match[4] if found else ""
        return found

    return _VARIABLE.sub(value, text)


_PARTS = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)|(\s+)|(\$\{[^}]*\}|[^\s'\"\\])", re.S)


def words(text: str, known: Mapping[str, str]) -> list[str]:
    """Split into words as a shell would, with variables put in; what single quotes hold stays as it is."""
    found: list[str] = []
    word: str | None = None
    plain = ""
    for match in _PARTS.finditer(text):
        single, double, escaped, space, char = match.groups()
        if char is not None:
            plain += char
            continue
        word, plain = _more(word, expand(plain, known) if plain else None), ""
        if single is not None:
            word = (word or "") + single
        elif double is not None:
            word = (word or "") + re.sub(r"\\([\"\\$])", r"\1", expand(double, known))
        elif escaped is not None:
            word = (word or "") + escaped
        elif space is not None and word is not None:
            found.append(word)
            word = None
    word = _more(word, expand(plain, known) if plain else None)
    return found if word is None else [*found, word]


def _more(word: str | None, part: str | None) -> str | None:
    return word if part is None else (word or "") + part
