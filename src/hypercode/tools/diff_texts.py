"""What a git diff adds, as text: lines, and the bytes of binary files, which git deflates and writes in base 85."""

import base64
import zlib
from collections.abc import Iterator

from hypercode.domain.errors import InvalidArgument, TooLarge

MAX_BINARY = 32 * 1024 * 1024
"""Bytes of binary files, all of a diff's together, that are looked at."""


def added(diff: str) -> Iterator[tuple[str, str]]:
    """What a diff adds, by the file's heading; raises TooLarge for more binary data than can be looked at."""
    left = MAX_BINARY
    for path, lines in _files(diff):
        yield path, "\n".join(line[1:] for line in lines if line.startswith("+"))
        if "GIT binary patch" not in lines:
            continue
        data = _binary(path, lines[lines.index("GIT binary patch") + 1 :], left)
        left -= len(data)
        yield path, data.decode(errors="replace")
        # Without NULs a text of two bytes a character reads like one of one byte.
        yield path, data.replace(b"\0", b"").decode(errors="replace")


def _files(diff: str) -> Iterator[tuple[str, list[str]]]:
    path, lines = "", list[str]()
    for line in diff.split("\n"):
        if line.startswith("diff --git "):
            if path:
                yield path, lines
            path, lines = line.removeprefix("diff --git "), []
        else:
            lines.append(line)
    if path:
        yield path, lines


def _binary(path: str, lines: list[str], limit: int) -> bytes:
    """The new bytes of one file: of the first of the two parts, which leads from the old file to the new one."""
    inflate = zlib.decompressobj()
    try:
        packed = b"".join(_line(line) for line in lines[1 : lines.index("")])
        data = inflate.decompress(packed, limit + 1)
        if len(data) > limit:
            raise TooLarge(
                f"the binary files of the diff are too large to look for secrets in them: {path[:200]!a}",
                hint="Keep what is made by commands out of the diff, with .gitignore.",
            )
        if not inflate.eof:
            raise ValueError("cut off")
        return _inserted(data) if lines[0].startswith("delta ") else data
    except (ValueError, IndexError, zlib.error) as error:
        raise InvalidArgument(f"the diff's binary part can't be read: {path[:200]!a}") from error


def _line(line: str) -> bytes:
    """A line begins with its length: A to Z are 1 to 26, a to z 27 to 52."""
    length = ord(line[0]) - (ord("A") - 1 if line[0].isupper() else ord("a") - 27)
    return base64.b85decode(line[1:])[:length]


def _inserted(delta: bytes) -> bytes:
    """What a delta brings anew; what it copies was in the file before."""
    position = _after_number(delta, _after_number(delta, 0))
    new = bytearray()
    while position < len(delta):
        command = delta[position]
        position += 1
        if command & 0x80:
            position += (command & 0x7F).bit_count()
        else:
            new += delta[position : position + command]
            position += command
    return bytes(new)


def _after_number(data: bytes, position: int) -> int:
    while data[position] & 0x80:
        position += 1
    return position + 1
