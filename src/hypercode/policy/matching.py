"""Turns a rule's matchers into conditions on what a call touches.

Where a call names several things, an allow has to cover them all, and a forbid or an ask needs to find one.
What can be read in two ways is read against the call: a forbid ignores case and looks past a program's folder,
an allow does neither. A matcher of something that the call does not name never matches.
"""

import re
from collections.abc import Callable, Iterable

from hypercode.domain.tool_call import Touched
from hypercode.policy.globs import any_glob, folders_above
from hypercode.policy.images import read_image
from hypercode.policy.matchers import ArgvForm, ImageForm, Matchers, SizeForm

Condition = Callable[[Touched], bool]


def conditions_of(matchers: Matchers, *, grants: bool) -> tuple[tuple[str, Condition], ...]:
    """The conditions of a rule by the matcher's name; ``grants``: the rule allows, so it must cover all."""
    conditions: list[tuple[str, Condition]] = []
    if matchers.paths is not None:
        conditions.append(("paths", _paths(matchers.paths, grants)))
    if matchers.argv is not None:
        conditions.append(("argv", _argv(matchers.argv, grants)))
    if matchers.image is not None:
        conditions.append(("image", _image(matchers.image, grants)))
    if matchers.hosts is not None:
        conditions.append(("hosts", _hosts(matchers.hosts, grants)))
    if matchers.ref is not None:
        conditions.append(("ref", _ref(matchers.ref, grants)))
    if matchers.secrets is not None:
        conditions.append(("secrets", _secrets(matchers.secrets, grants)))
    if matchers.size is not None:
        conditions.append(("size", _size(matchers.size)))
    return tuple(conditions)


def _covers(named: tuple[str, ...], test: Callable[[str], object], grants: bool) -> bool:
    if not named:
        return False
    return all(map(test, named)) if grants else any(map(test, named))


def _paths(globs: tuple[str, ...], grants: bool) -> Condition:
    pattern = any_glob(globs, any_case=not grants)
    above = frozenset(folder.lower() for glob in globs if not grants for folder in folders_above(glob))

    def test(path: str) -> bool:
        return pattern.fullmatch(path) is not None or path.lower() in above

    return lambda touched: _covers(touched.paths, test, grants)


def _hosts(hosts: tuple[str, ...], grants: bool) -> Condition:
    exact = frozenset(host for host in hosts if not host.startswith("*."))
    below = tuple(host[1:] for host in hosts if host.startswith("*."))

    def test(host: str) -> bool:
        name = host.lower().rstrip(".")
        return name in exact or (name.endswith(below) and not name.startswith("."))

    return lambda touched: _covers(touched.hosts, test, grants)


def _secrets(globs: tuple[str, ...], grants: bool) -> Condition:
    pattern = any_glob(globs, any_case=not grants)
    return lambda touched: _covers(touched.secrets, pattern.fullmatch, grants)


def _ref(globs: tuple[str, ...], grants: bool) -> Condition:
    pattern = any_glob(globs, any_case=not grants)
    return lambda touched: touched.ref is not None and pattern.fullmatch(touched.ref) is not None


def _size(form: SizeForm) -> Condition:
    least, most = form.min or 0, form.max
    return lambda touched: (
        touched.size is not None and touched.size >= least and (most is None or touched.size <= most)
    )


def _image(forms: tuple[ImageForm, ...], grants: bool) -> Condition:
    def test(touched: Touched) -> bool:
        if touched.image is None:
            return False
        name = read_image(touched.image)
        if name is None:
            # Not a name that we understand: nothing can allow it, everything that forbids does.
            return not grants
        return any(
            _fits(form.registry, name.registry)
            and _fits(form.name, name.name)
            and _fits(form.tag, name.tag)
            and form.digest in (None, name.digest)
            and form.pinned in (None, bool(name.digest))
            for form in forms
        )

    return test


def _fits(glob: str | None, value: str) -> bool:
    return glob is None or any_glob((glob,)).fullmatch(value) is not None


def _argv(forms: tuple[ArgvForm, ...], grants: bool) -> Condition:
    tests = tuple(_argv_form(form, grants) for form in forms)

    def test(touched: Touched) -> bool:
        return bool(touched.argv) and any(form(touched.argv) for form in tests)

    return test


def _argv_form(form: ArgvForm, grants: bool) -> Callable[[tuple[str, ...]], bool]:
    program = any_glob(form.program) if form.program else None
    positional = tuple(any_glob((glob,)) for glob in form.positional or ())

    def test(argv: tuple[str, ...]) -> bool:
        if program is not None and not _is_program(program, argv[0], grants):
            return False
        if positional and not _begins(positional, _positional(argv[1:])):
            return False
        there = frozenset(_words_and_flags(argv[1:]))
        return (
            (form.has_all is None or there.issuperset(form.has_all))
            and (form.has_any is None or not there.isdisjoint(form.has_any))
            and (form.has_none is None or there.isdisjoint(form.has_none))
        )

    return test


def _is_program(pattern: re.Pattern[str], program: str, grants: bool) -> bool:
    if pattern.fullmatch(program):
        return True
    # /usr/bin/git is git to a rule that forbids; a rule that allows git does not mean ./git.
    return not grants and pattern.fullmatch(program.rpartition("/")[2]) is not None


def _begins(patterns: tuple[re.Pattern[str], ...], words: tuple[str, ...]) -> bool:
    if len(words) < len(patterns):
        return False
    return all(pattern.fullmatch(word) for pattern, word in zip(patterns, words, strict=False))


def _words_and_flags(words: Iterable[str]) -> Iterable[str]:
    """The words, ``--flag`` of ``--flag=value``, and ``-r`` and ``-f`` of ``-rf``."""
    flags = True
    for word in words:
        yield word
        flags = flags and word != "--"
        if flags and word.startswith("--") and "=" in word:
            yield word.partition("=")[0]
        elif flags and len(word) > 2 and word[0] == "-" and word[1] != "-":
            yield from (f"-{letter}" for letter in word[1:])


def _positional(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words that are no flags; a flag's value counts too, since only the program knows which take one."""
    found: list[str] = []
    for number, word in enumerate(words):
        if word == "--":
            return (*found, *words[number + 1 :])
        if not word.startswith("-") or word == "-":
            found.append(word)
    return tuple(found)
