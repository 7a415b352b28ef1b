"""Tamper findings of a diff, from its text alone: what it does to tests, and what it does near the runner.

Edits to tests do not block: the original tests are run as well, and those results decide. Lines in product
code that reach into the process that runs the tests do block, since the report itself comes out of that
process. Text can't find every trick; canaries and cross-checks stand beside this.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from hypercode.domain.attestation import Finding
from hypercode.verification.diffs import FileChange, read_diff
from hypercode.verification.paths import is_ci, is_test, is_test_configuration


class _Pattern:
    def __init__(self, code: str, regex: str, words: str) -> None:
        self.code, self.regex, self.words = code, re.compile(regex), words


_RUNNER = "runner_touched"
_PROBE = "environment_probe"
# Each of these alone blocks: a fix of product code has no business there.
_HARD = (
    _Pattern(_RUNNER, r"\b(?:_pytest|pluggy)\b", "names the test runner's insides"),
    _Pattern(
        _RUNNER, r"\b(?:import|from)\s+(?:pytest|unittest|doctest|nose2?)\b", "imports a test framework"
    ),
    _Pattern(_RUNNER, r"\b(?:pytest|unittest)\s*\.\s*\w", "uses a test framework"),
    _Pattern(_RUNNER, r"""['"](?:pytest|unittest)(?:\.\w+)*['"]""", "names a test framework"),
    _Pattern(_RUNNER, r"\bpytest_[a-z]+", "names a hook of the test runner"),
    _Pattern(
        _RUNNER, r"\bpytest11\b|\bTestCase\b|\bTestReport\b|\bTestResult\b", "names the test runner's parts"
    ),
    _Pattern(
        _PROBE, r"PYTEST_[A-Z_]+|\bTOX_ENV\w*|\bHYPERCODE\w*|/tmp/hypercode", "asks where it is running"
    ),
    _Pattern("report_touched", r"(?i)\bjunit", "names the report"),
    _Pattern(
        "process_ended", r"\bos\s*\.\s*(?:_exit|abort|kill|exec[lv]\w*)\b|\b_exit\b", "ends the process"
    ),
    _Pattern(
        "tracing",
        r"\b(?:settrace|setprofile|settrace_all_threads|setprofile_all_threads)\b|\bsys\s*\.\s*monitoring\b",
        "sets a trace or profile function",
    ),
    _Pattern("tracing", r"\bgc\s*\.\s*get_(?:objects|referrers|referents)\b", "looks through live objects"),
    _Pattern(
        "builtins_changed",
        r"\b(?:builtins|__builtins__)\b\s*(?:\.\s*\w+\s*=[^=]|\[)|\bsetattr\s*\(\s*(?:builtins|sys|os)\b",
        "changes built-in names",
    ),
    _Pattern(
        "builtins_changed", r"\b(?:sys|os)\s*\.\s*(?:exit|excepthook|stdout|stderr)\s*=[^=]", "replaces sys"
    ),
    _Pattern("import_hook", r"\b(?:sys\s*\.\s*)?(?:meta_path|path_hooks)\b", "hooks into imports"),
)
# These have honest uses; two different ones in one file block, one alone is told.
_SOFT = (
    _Pattern("atexit", r"\batexit\b", "runs code when the process ends"),
    _Pattern("modules_table", r"\bsys\s*\.\s*modules\b", "reads or writes the table of modules"),
    _Pattern(
        "modules_table", r"\bfrom\s+sys\s+import\b.*\bmodules\b", "reads or writes the table of modules"
    ),
    _Pattern(
        "stack_probe",
        r"\b_getframe\b|\binspect\s*\.\s*(?:stack|currentframe)\b|\bf_back\b",
        "looks at its callers",
    ),
    _Pattern(
        "dynamic_code", r"(?<![.\w])(?:exec|eval|__import__)\s*\(|\bimport_module\s*\(", "runs code by name"
    ),
    _Pattern("native_memory", r"\bctypes\b", "reaches memory through ctypes"),
    _Pattern("arguments_probe", r"\bsys\s*\.\s*(?:argv|orig_argv)\b", "reads the command line"),
    _Pattern("decoded_code", r"\bb(?:64|85|32)decode\b|\bmarshal\b|\bfromhex\b", "decodes hidden text"),
)
_CODE_SUFFIXES = {".py", ".pyi", ".pyx", ".cfg", ".toml", ".ini", ".pth", ""}
_COMPILED = {".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib"}
_START_FILES = {"sitecustomize.py", "usercustomize.py"}
_RUNNER_MODULES = {
    "pytest",
    "_pytest",
    "py",
    "pluggy",
    "iniconfig",
    "packaging",
    "pygments",
    "exceptiongroup",
    "tomli",
    "coverage",
    "xdist",
    "pytest_cov",
}
_THRESHOLD = re.compile(r"fail[_-]under|min[_-]?coverage|max-complexity|maxfail")
_FILTER = re.compile(
    r"\baddopts\b|--ignore|--deselect|-k[\s=]|testpaths|norecursedirs|python_(?:files|classes|functions)|collect_ignore|\bmarkers?\b"
)
_SKIP = re.compile(
    r"\b(?:skip|skipif|xfail|skipTest|skipUnless|expectedFailure|importorskip|__test__)\b|\bpytest\.exit\b"
)
_TEST_DEFINITION = re.compile(r"^\s*(?:async\s+)?def\s+(test\w*)|^class\s+(Test\w*)")
_ASSERTION = re.compile(r"^\s*(?:assert\b|self\.assert\w+\(|with\s+pytest\.raises)")
_HOOK = re.compile(r"\bpytest_\w+|\bhookimpl\b|\bautouse\b|\bmonkeypatch\b|\bpytest_plugins\b")
_EQUAL = re.compile(r"\bdef\s+__(?:eq|ne|bool|lt|le|gt|ge)__\b.*")


def diff_findings(diff: str) -> list[Finding]:
    """Return what a person should know about a diff; blocking ones take the grade ``fixed`` away."""
    return [finding for change in read_diff(diff) for finding in _file_findings(change)]


def _file_findings(change: FileChange) -> Iterator[Finding]:
    yield from _path_findings(change)
    if is_test(change.path) or (change.old_path and is_test(change.old_path)):
        yield from _test_findings(change)
    elif is_test_configuration(change.path):
        yield from _configuration_findings(change)
    elif PurePosixPath(change.path).suffix in _CODE_SUFFIXES:
        yield from _product_findings(change)


def _path_findings(change: FileChange) -> Iterator[Finding]:
    path = PurePosixPath(change.path)
    if is_ci(change.path):
        yield _told("ci_changed", f"{path} steers continuous integration", change)
    if change.mode == "120000":
        yield _told("symlink", f"{path} is a symbolic link", change)
    if change.new_path is None:
        return
    if path.name in _START_FILES or path.suffix == ".pth":
        yield _blocks("interpreter_start", f"{path} runs whenever Python starts", change)
    if path.suffix in _COMPILED or "__pycache__" in path.parts:
        yield _blocks("compiled_code", f"{path} is compiled code that can't be read", change)
    if _shadows(change):
        yield _blocks(
            "runner_shadowed", f"{path} stands in front of a module of Python or of the runner", change
        )


def _shadows(change: FileChange) -> bool:
    """True for an added module at a root of the import path with the name of one that the runner imports."""
    if change.old_path == change.new_path:
        return False
    parts = list(PurePosixPath(change.path).parts)
    if not parts:
        return False
    if parts[0] in ("src", "lib", "tests", "test") and len(parts) > 1:
        parts = parts[1:]
    name = PurePosixPath(parts[0])
    is_module = len(parts) == 1 and name.suffix == ".py"
    is_package = len(parts) > 1 and parts[-1].endswith(".py") and parts[0] not in ("test", "tests")
    return (is_module or is_package) and name.stem in (_RUNNER_MODULES | sys.stdlib_module_names)


def _test_findings(change: FileChange) -> Iterator[Finding]:
    if change.old_path is None:
        yield _told("test_file_added", f"{change.path} is new", change)
    elif change.new_path is None:
        yield _told("test_file_deleted", f"{change.path} is deleted", change)
    elif change.old_path != change.new_path:
        yield _told("test_file_renamed", f"{change.old_path} is now {change.new_path}", change)
    else:
        yield _told("test_file_changed", f"{change.path} is edited", change)
    if change.old_path is not None and (gone := _definitions(change.removed) - _definitions(_texts(change))):
        yield _told("test_removed", f"tests removed or renamed: {', '.join(sorted(gone))}", change)
    if change.old_path is not None and any(_ASSERTION.match(line) for line in change.removed):
        yield _told("assertion_changed", "assertions of an existing test are changed or removed", change)
    if line := _first(change, _SKIP.search):
        yield _told("test_skipped", f"line {line} skips tests or expects them to fail", change)
    if PurePosixPath(change.path).name == "conftest.py" and (line := _first(change, _HOOK.search)):
        yield _told("conftest_hook", f"line {line} changes how the runner works", change)
    yield from _threshold_findings(change)


def _configuration_findings(change: FileChange) -> Iterator[Finding]:
    if line := _first(change, _FILTER.search):
        yield _told("test_filter", f"line {line} changes which tests are run", change)
    if line := _first(change, re.compile(r"\bpytest11\b|(?<!\S)-p\s*\w").search):
        yield _blocks(_RUNNER, f"line {line} loads a plugin into the test runner", change)
    yield from _threshold_findings(change)


def _threshold_findings(change: FileChange) -> Iterator[Finding]:
    if any(_THRESHOLD.search(line) for line in [*change.removed, *_texts(change)]):
        yield _told("threshold_changed", "a threshold is changed", change)


def _product_findings(change: FileChange) -> Iterator[Finding]:
    lines = [(line.number, _code(line.text)) for line in change.added]
    for pattern in _HARD:
        if number := next((n for n, text in lines if pattern.regex.search(text)), None):
            yield _blocks(pattern.code, f"line {number} {pattern.words}", change)
    soft = [
        (pattern, number)
        for pattern in _SOFT
        if (number := next((n for n, text in lines if pattern.regex.search(text)), None))
    ]
    blocking = len({pattern.code for pattern, _ in soft}) > 1
    for pattern, number in soft:
        message = f"line {number} {pattern.words}"
        yield Finding(code=pattern.code, message=message, path=change.path, blocking=blocking)
    if number := _always_equal(lines):
        yield _blocks("always_equal", f"line {number} makes comparisons true whatever is compared", change)


def _always_equal(lines: list[tuple[int, str]]) -> int | None:
    for index, (number, text) in enumerate(lines):
        if _EQUAL.search(text):
            body = " ".join([text, *(t for _, t in lines[index + 1 : index + 3])])
            if re.search(r"\)[^:]*:\s*return True\b", body):
                return number
    return None


def _code(text: str) -> str:
    """A line without its comment; a ``#`` inside quotes stays, so that hiding behind one fails."""
    before, mark, _ = text.partition("#")
    return before if mark and before.count("'") % 2 == 0 and before.count('"') % 2 == 0 else text


def _definitions(lines: list[str]) -> set[str]:
    return {match[1] or match[2] for line in lines if (match := _TEST_DEFINITION.match(line))}


def _texts(change: FileChange) -> list[str]:
    return [line.text for line in change.added]


def _first(change: FileChange, found: Callable[[str], object]) -> int | None:
    return next((line.number for line in change.added if found(line.text)), None)


def _told(code: str, message: str, change: FileChange) -> Finding:
    return Finding(code=code, message=message, path=change.path)


def _blocks(code: str, message: str, change: FileChange) -> Finding:
    return Finding(code=code, message=message, path=change.path, blocking=True)
