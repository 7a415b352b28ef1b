"""Pytest's JUnit XML as test cases, with ids as near to pytest's node ids as the format allows."""

import re
from xml.etree import ElementTree

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument, TooLarge

PYTEST: tuple[str, ...] = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
"""How pytest is called, the same in development and in verification."""

REPORT_DIRECTORY = "/tmp/hypercode-report"
REPORT_PATH = f"{REPORT_DIRECTORY}/junit.xml"
REPORT_OPTION = f"--junit-xml={REPORT_PATH}"

MAX_XML = 32 * 1024 * 1024
MAX_MESSAGE = 2000

_MODULE = re.compile(r"test_.*|.*_test|tests?")
_PLACE = re.compile(r"^([^\s:][^:\n]*\.py):(\d+):", re.MULTILINE)


def parse_junit(xml: str) -> list[TestCase]:
    """Read a report; raises InvalidArgument for text that is none. Reports are untrusted: no DTD is read."""
    cases: dict[str, TestCase] = {}
    for element in xml_root(xml).iter("testcase"):
        case = _case(element)
        # A test that fails and then breaks in teardown is reported twice: the worse report stands.
        known = cases.get(case.id)
        if known is None or _SEVERITY[case.outcome] > _SEVERITY[known.outcome]:
            cases[case.id] = case
    return list(cases.values())


def xml_root(xml: str) -> ElementTree.Element:
    """Parse a report's XML; raises InvalidArgument for text that is none, and for a DTD."""
    if len(xml) > MAX_XML:
        raise TooLarge("the test report is over 32 MiB")
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise InvalidArgument("the test report has a DTD")
    try:
        return ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise InvalidArgument(f"the test report is not XML: {error}") from error


_SEVERITY = {
    TestOutcome.PASSED: 0,
    TestOutcome.SKIPPED: 1,
    TestOutcome.FAILED: 2,
    TestOutcome.ERROR: 3,
}


def _case(element: ElementTree.Element) -> TestCase:
    file, test_id = identity_of(element)
    outcome, problem = outcome_of(element)
    message = ""
    line = int(element.get("line", "")) + 1 if element.get("line", "").isdigit() else None
    if problem is not None:
        text = problem.text or ""
        message = "\n".join(part for part in (problem.get("message", ""), text) if part)
        places = [int(number) for path, number in _PLACE.findall(text) if path == file]
        line = places[-1] if places else line
    return TestCase(
        id=test_id,
        outcome=outcome,
        duration_s=seconds_of(element.get("time", "0")),
        message=message if len(message) <= MAX_MESSAGE else "[...]" + message[-MAX_MESSAGE:],
        file=file,
        line=line,
    )


def identity_of(element: ElementTree.Element) -> tuple[str | None, str]:
    """The file and the node id, from ``file`` where the report has it, else from the class name's shape."""
    name, classname = element.get("name", ""), element.get("classname", "")
    if not classname:
        # A file that could not be collected is reported by its module's name alone.
        file = element.get("file") or (name.replace(".", "/") + ".py" if name else None)
        return file, file or "unknown"
    parts = classname.split(".")
    file = element.get("file")
    if file is not None:
        depth = len(file.removesuffix(".py").split("/"))
    else:
        modules = [index for index, part in enumerate(parts) if _MODULE.fullmatch(part)]
        depth = modules[-1] + 1 if modules else max(len(parts) - sum(part[:1].isupper() for part in parts), 1)
        file = "/".join(parts[:depth]) + ".py"
    return file, "::".join([file, *parts[depth:], name])


def outcome_of(element: ElementTree.Element) -> tuple[TestOutcome, ElementTree.Element | None]:
    """How a test ended, and the element that says why."""
    for tag, outcome in (
        ("error", TestOutcome.ERROR),
        ("failure", TestOutcome.FAILED),
        ("skipped", TestOutcome.SKIPPED),
    ):
        problem = element.find(tag)
        if problem is not None:
            return outcome, problem
    return TestOutcome.PASSED, None


def seconds_of(text: str) -> float:
    """A duration; 0 for what is none."""
    try:
        return max(float(text), 0.0)
    except ValueError:
        return 0.0
