"""A tool call as a person reads it before they approve it: all of it, and nothing that hides or reorders text."""

import json
import shlex
import unicodedata
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict

MAX_PREVIEW = 64 * 1024
"""What is longer can't be approved: nobody reads it to its end."""


class Preview(BaseModel):
    """``kind`` says how ``text`` is to be read: a command, a diff, or the arguments as JSON."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["command", "diff", "arguments"]
    text: str


def preview_of(tool: str, arguments: dict[str, Any]) -> Preview:
    """Show a call by its canonical arguments."""
    if command := _command(arguments):
        rest = {name: value for name, value in arguments.items() if name not in ("argv", "script")}
        return Preview(kind="command", text=visible(command + _rest(rest, _PLAIN)))
    if diff := _diff(tool, arguments):
        return Preview(kind="diff", text=visible(diff))
    return Preview(kind="arguments", text=visible(json.dumps(arguments, ensure_ascii=False, indent=1)))


def visible(text: str) -> str:
    """Write out what a reader would not see: control characters, and those that hide or reorder others."""
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSEEN and char not in "\n\t" else char
        for char in text
    )


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_PLAIN: dict[str, Any] = {"cwd": ".", "stdin": "", "env": {}, "timeout_s": 120.0, "max_output": 32 * 1024}


def _command(arguments: dict[str, Any]) -> str:
    argv, script = arguments.get("argv"), arguments.get("script")
    if isinstance(script, str) and script:
        return script
    if isinstance(argv, list) and argv:
        return shlex.join(map(str, cast(list[object], argv)))
    return ""


def _diff(tool: str, arguments: dict[str, Any]) -> str:
    path = arguments.get("path")
    if tool == "fs_apply_patch" and isinstance(arguments.get("patch"), str):
        return arguments["patch"] + _rest(
            {name: value for name, value in arguments.items() if name != "patch"}, {}
        )
    if tool == "fs_write" and isinstance(arguments.get("content"), str):
        rest = {name: value for name, value in arguments.items() if name not in ("path", "content")}
        return f"+++ {path}\n{_marked('+', arguments['content'])}{_rest(rest, {})}"
    if tool == "fs_edit" and isinstance(arguments.get("edits"), list):
        rest = {name: value for name, value in arguments.items() if name not in ("path", "edits")}
        edits = [_edit(cast(dict[str, Any], edit)) for edit in arguments["edits"]]
        return f"+++ {path}\n" + "\n".join(edits) + _rest(rest, {})
    return ""


def _edit(edit: dict[str, Any]) -> str:
    rest = {name: value for name, value in edit.items() if name not in ("old", "new")}
    lines = f"{_marked('-', str(edit.get('old', '')))}\n{_marked('+', str(edit.get('new', '')))}"
    return f"@@{_rest(rest, {}).replace(chr(10), ' ')} @@\n{lines}"


def _marked(mark: str, text: str) -> str:
    return "\n".join(mark + line for line in text.split("\n"))


def _rest(arguments: dict[str, Any], plain: dict[str, Any]) -> str:
    """Every other argument, a line each; only those that say nothing are left out."""
    told = {
        name: value
        for name, value in arguments.items()
        if value is not None and not (name in plain and value == plain[name])
    }
    return "".join(f"\n# {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in told.items())
