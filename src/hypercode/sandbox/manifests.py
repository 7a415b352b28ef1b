"""What a project's own files say it needs to run its tests: extras, groups, tox, pytest's options. Pure."""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

TEST_NAMES = ("test", "tests", "testing")
DEV_NAMES = ("dev", "develop", "development")
REQUIREMENTS = (
    "requirements.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "requirements-testing.txt",
    "requirements_test.txt",
    "requirements.test.txt",
    "test-requirements.txt",
    "test_requirements.txt",
    "tests/requirements.txt",
    "test/requirements.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
    "requirements/testing.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "requirements.dev.txt",
    "dev-requirements.txt",
    "dev_requirements.txt",
    "dev.requirements.txt",
    "requirements/dev.txt",
    "requirements/development.txt",
)
FILES = ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini", "PKG-INFO")
# pytest's options and settings that stop the whole suite, or mark tests red, while their plugin is missing.
PLUGINS = (
    (r"--cov\b|--no-cov", "pytest-cov"),
    (r"(?<!\S)-n[ =]?(\d|auto|logical)|--numprocesses|--dist\b", "pytest-xdist"),
    (r"--timeout\b", "pytest-timeout"),
    (r"--benchmark-", "pytest-benchmark"),
    (r"--reruns\b", "pytest-rerunfailures"),
    (r"--asyncio-mode", "pytest-asyncio"),
    (r"--random-order", "pytest-random-order"),
    (r"--randomly-", "pytest-randomly"),
    (r"--html\b", "pytest-html"),
    (r"--mypy\b", "pytest-mypy"),
    (r"--flake8\b", "pytest-flake8"),
    (r"--ds\b|--reuse-db", "pytest-django"),
    (r"--xdoctest|--xdoc\b", "xdoctest"),
    (r"--doctest-plus", "pytest-doctestplus"),
    (r"--hypothesis-", "hypothesis"),
    (r"--snapshot-", "syrupy"),
    (r"--disable-socket|--allow-hosts", "pytest-socket"),
    (r"--codspeed", "pytest-codspeed"),
)
SETTINGS = {
    "asyncio_mode": "pytest-asyncio",
    "asyncio_default_fixture_loop_scope": "pytest-asyncio",
    "timeout": "pytest-timeout",
    "DJANGO_SETTINGS_MODULE": "pytest-django",
    "env": "pytest-env",
    "anyio_mode": "anyio",
    "trio_mode": "pytest-trio",
}
# A project that takes its version from git has none in a copy without tags: the sdist's PKG-INFO knows it.
VERSION_TOOLS = (
    (r"setuptools[-_]scm|hatch[-_]vcs|flit[-_]scm|vcs[-_]versioning", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    (r"\bpbr\b", "PBR_VERSION"),
    (r"pdm[-_](backend|pep517)", "PDM_BUILD_SCM_VERSION"),
    (r"poetry-dynamic-versioning", "POETRY_DYNAMIC_VERSIONING_BYPASS"),
)


@dataclass(frozen=True)
class Needs:
    """What to install. ``tests`` are wishes of the suite: good to have, but no build fails for them."""

    installable: bool = False
    dependencies: list[str] = field(default_factory=list[str])
    extras: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    tests: list[str] = field(default_factory=list[str])
    requirement_files: list[str] = field(default_factory=list[str])
    version: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])


def project_needs(files: dict[str, str]) -> Needs:
    """Read the files that decide; what can't be read is said in ``notes`` and left out."""
    notes: list[str] = []
    pyproject = _pyproject(files, notes)
    tox, cfg, ini = (_ini(files.get(name, "")) for name in ("tox.ini", "setup.cfg", "pytest.ini"))
    project = _table(pyproject, "project")
    legacy = "setup.py" in files or "metadata" in cfg
    setup = _setup_words(files.get("setup.py", ""))
    extras = {**_lists(setup.get("extras_require")), **_lines_of(cfg.get("options.extras_require", {}))}
    extras |= _lists(project.get("optional-dependencies"))
    tox_env = tox.get("testenv", {})
    wanted = _chosen(extras, _words(tox_env.get("extras", "")))
    groups = _groups(pyproject)
    tests = [
        item
        for name in _chosen(groups, _words(tox_env.get("dependency_groups", "")))
        for item in groups[name]
    ]
    tests += _texts(setup.get("tests_require")) + _lines(cfg.get("options", {}).get("tests_require", ""))
    deps, named = _tox_deps(tox_env.get("deps", ""))
    tests += deps + _plugins(
        pyproject, [tox.get("pytest", {}), cfg.get("tool:pytest", {}), ini.get("pytest", {})]
    )
    return Needs(
        installable=bool("build-system" in pyproject or project or legacy or _poetry(pyproject)),
        dependencies=_texts(project.get("dependencies"))
        or _texts(setup.get("install_requires"))
        or _lines(cfg.get("options", {}).get("install_requires", "")),
        extras={name: extras[name] for name in wanted},
        tests=list(dict.fromkeys(tests)),
        requirement_files=_requirement_files(files, named, has_tests_list=bool(wanted or tests)),
        version=_version(files),
        notes=notes,
    )


def _pyproject(files: dict[str, str], notes: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(files.get("pyproject.toml", ""))
    except tomllib.TOMLDecodeError:
        notes.append("pyproject.toml can't be read and is not used")
        return {}


def _table(parent: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        child = parent.get(name)
        parent = cast(dict[str, Any], child) if isinstance(child, dict) else {}
    return parent


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return {name: {key: value or "" for key, value in parser.items(name)} for name in parser.sections()}


def _setup_words(text: str) -> dict[str, Any]:
    """The literal arguments of ``setup(...)``; setup.py itself is never run here."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    known: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "setup":
            for keyword in node.keywords:
                value = keyword.value
                value = known.get(value.id, value) if isinstance(value, ast.Name) else value
                try:
                    found[str(keyword.arg)] = ast.literal_eval(value)
                except (ValueError, TypeError):
                    continue
    return found


def _chosen(named: Iterable[str], asked: list[str]) -> list[str]:
    """The names that are for tests; those for development only when there is none of them."""
    names = list(named)
    chosen = [name for name in names if name in asked or name.lower() in TEST_NAMES]
    return chosen or [name for name in names if name.lower() in DEV_NAMES]


def _groups(pyproject: dict[str, Any]) -> dict[str, list[str]]:
    """Dependency groups of every tool that has them, includes resolved."""
    raw = _table(pyproject, "dependency-groups")
    groups = {name: _group(raw, name, ()) for name in raw}
    for name, table in _table(pyproject, "tool", "poetry", "group").items():
        groups.setdefault(name, list(_table({"t": table}, "t", "dependencies")))
    old = _table(pyproject, "tool", "poetry", "dev-dependencies")
    groups |= {"dev": list(old)} if old else {}
    groups |= _lists(_table(pyproject, "tool", "pdm", "dev-dependencies"))
    uv = _texts(_table(pyproject, "tool", "uv").get("dev-dependencies"))
    groups |= {"dev": [*groups.get("dev", []), *uv]} if uv else {}
    for name, table in _table(pyproject, "tool", "hatch", "envs").items():
        env = _table({"t": table}, "t")
        wanted = _texts(env.get("dependencies")) + _texts(env.get("extra-dependencies"))
        if wanted and name in ("default", "hatch-test", *TEST_NAMES):
            groups["test"] = [*groups.get("test", []), *wanted]
    return {name: [item for item in items if item.lower() != "python"] for name, items in groups.items()}


def _group(raw: dict[str, Any], name: str, seen: tuple[str, ...]) -> list[str]:
    items: list[str] = []
    content = raw.get(name)
    for item in cast(list[object], content) if isinstance(content, list) else []:
        if isinstance(item, str):
            items.append(item)
        elif isinstance(item, dict):
            other = cast(dict[str, Any], item).get("include-group")
            if isinstance(other, str) and other not in seen:
                items += _group(raw, other, (*seen, name))
    return items


def _poetry(pyproject: dict[str, Any]) -> bool:
    return bool(_table(pyproject, "tool", "poetry"))


def _tox_deps(text: str) -> tuple[list[str], list[str]]:
    """tox's test dependencies as (requirements, requirement files); those of single factors are left out."""
    wanted: list[str] = []
    named: list[str] = []
    for line in _lines(text):
        file = re.fullmatch(r"(?:-r|--requirement)\s*=?\s*(?:\{toxinidir\}/|\./)?([\w./-]+)", line)
        if file is not None and ".." not in file.group(1):
            named.append(file.group(1))
        elif re.match(r"[A-Za-z0-9]", line) and not re.search(r"[{}]|^[\w!,.-]+:\s|://", line):
            wanted.append(line)
    return wanted, named


def _plugins(pyproject: dict[str, Any], sections: list[dict[str, str]]) -> list[str]:
    options = _table(pyproject, "tool", "pytest", "ini_options") or _table(pyproject, "tool", "pytest")
    own = {key: " ".join(_texts(value)) or str(value) for key, value in options.items()}
    found: list[str] = []
    for section in [own, *sections]:
        given = section.get("addopts", "")
        found += [package for pattern, package in PLUGINS if re.search(pattern, given)]
        found += [package for key, package in SETTINGS.items() if key in section]
        found += re.findall(r"[A-Za-z][\w.-]*(?:[<>=!~]=?[\w.]+)?", section.get("required_plugins", ""))
    return found


def _requirement_files(files: dict[str, str], named: list[str], *, has_tests_list: bool) -> list[str]:
    """The project's own file, those for tests, and those for development when nothing is said for tests."""
    present = [name for name in REQUIREMENTS if name in files]
    dev = [name for name in present if "dev" in name]
    tests = [name for name in present if name not in dev and name != "requirements.txt"]
    chosen = [name for name in present if name == "requirements.txt"]
    chosen += tests or ([] if has_tests_list else dev)
    return list(dict.fromkeys([*chosen, *named]))


def _version(files: dict[str, str]) -> dict[str, str]:
    found = re.search(r"(?m)^Version: ([\w.+!-]{1,60})\s*$", files.get("PKG-INFO", "").partition("\n\n")[0])
    text = files.get("pyproject.toml", "") + files.get("setup.py", "") + files.get("setup.cfg", "")
    if found is None:
        return {}
    return {name: found.group(1) for pattern, name in VERSION_TOOLS if re.search(pattern, text)}


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.-]+", text)


def _lines(text: str) -> list[str]:
    plain = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in text.splitlines())
    return [line for line in plain if line]


def _lines_of(section: dict[str, str]) -> dict[str, list[str]]:
    return {name: _lines(text) for name, text in section.items()}


def _lists(table: object) -> dict[str, list[str]]:
    if not isinstance(table, dict):
        return {}
    return {str(name): _texts(value) for name, value in cast(dict[object, object], table).items()}


def _texts(items: object) -> list[str]:
    found = cast(list[object], items) if isinstance(items, list | tuple) else []
    return [item for item in found if isinstance(item, str)]
