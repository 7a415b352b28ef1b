"""Globs over canonical names: ``*`` and ``?`` stay in a segment, ``**`` is any number of whole segments.

They are compiled so that no name that an agent chooses makes a match slow: stars are atomic, and few.
"""

import re
from functools import lru_cache

MAX_LENGTH = 300
MAX_STARS = 8
MAX_CROSSINGS = 3


def checked_glob(glob: str) -> str:
    """Return a glob that is well formed; raises ValueError, saying what is wrong with it."""
    if not glob or len(glob) > MAX_LENGTH or not glob.isprintable():
        raise ValueError(f"a glob has 1 to {MAX_LENGTH} printable characters")
    segments = glob.split("/")
    if any("**" in segment and segment != "**" for segment in segments):
        raise ValueError("'**' stands alone between slashes")
    if segments.count("**") > MAX_CROSSINGS or glob.replace("**", "").count("*") > MAX_STARS:
        raise ValueError(f"a glob has at most {MAX_CROSSINGS} '**' and {MAX_STARS} '*'")
    if any(character in glob for character in "[]{}!\\"):
        raise ValueError("a glob knows '*', '?' and '**' only")
    return glob


def checked_path_glob(glob: str) -> str:
    """The same for paths, which are relative to the workspace and have no empty or dotted segments."""
    checked_glob(glob)
    if glob.startswith(("/", "~")) or any(segment in ("", ".", "..") for segment in glob.split("/")):
        raise ValueError("a path glob is relative to the workspace, without '.', '..' or an empty segment")
    return glob


def checked_host(host: str) -> str:
    """A host name, or ``*.domain`` for every name below a domain."""
    if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", host) or len(host) > 253:
        raise ValueError(
            "a host is a lower-case name like 'pypi.org', or '*.pypi.org' for all names below it"
        )
    return host


def glob_source(glob: str) -> str:
    """The regular expression of a glob.

    Between two stars, and between two ``**``, the first place where the text fits is as good as any later one:
    what stands between is atomic, and no name leads to more than one way back.
    """
    head, *rest = _split(glob.split("/"))
    if not rest:
        return _path(head)
    *middle, tail = rest
    start = _path(head) + "/" if head else ""
    between = "".join(f"(?>(?:[^/]+/)*?{_path(part)}/)" for part in middle if part)
    return start + between + ("(?:[^/]+/)*" + _path(tail) if tail else ".+")


def _split(segments: list[str]) -> list[list[str]]:
    """The runs of segments between the ``**``."""
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            runs.append([])
        else:
            runs[-1].append(segment)
    return runs


def _path(segments: list[str]) -> str:
    return "/".join(_segment(segment) for segment in segments)


def _segment(segment: str) -> str:
    head, *rest = (_text(part) for part in re.split(r"\*+", segment))
    if not rest:
        return head
    *middle, tail = rest
    return head + "".join(f"(?>[^/]*?{part})" for part in middle if part) + "[^/]*" + tail


def _text(part: str) -> str:
    return "".join("[^/]" if character == "?" else re.escape(character) for character in part)


@lru_cache(maxsize=4096)
def any_glob(globs: tuple[str, ...], *, any_case: bool = False) -> re.Pattern[str]:
    """One expression for all of these globs."""
    flags = re.DOTALL | (re.IGNORECASE if any_case else 0)
    return re.compile("|".join(f"(?:{glob_source(glob)})" for glob in globs), flags)


def path_pattern(glob: str) -> re.Pattern[str]:
    """A glob over paths, in any case: a clone on a case-insensitive disk would see one file where we see two."""
    return any_glob((glob,), any_case=True)


def folders_above(glob: str) -> tuple[str, ...]:
    """The folders that a glob's fixed beginning lies in: moving or deleting one of them moves what the glob means."""
    fixed: list[str] = []
    for segment in glob.split("/")[:-1]:
        if "*" in segment or "?" in segment:
            break
        fixed.append(segment)
    return tuple("/".join(fixed[: end + 1]) for end in range(len(fixed)))
