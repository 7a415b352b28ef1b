"""What ``python -m unittest -v`` prints on stderr. An id is ``module.Class.test``, as unittest takes it."""

import re
from collections.abc import Iterator

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.reports import MAX_NAME, Report, checked_size, ending, place_in, worst

_HEADER = re.compile(
    r"^ {0,8}(\w{1,300}) \(([\w.<>]{1,600})\)( \[[^\]]{0,300}\]| \([^)]{0,300}\))?(?= \.\.\. |$)"
)
_ENDED = re.compile(r"(?:^|\.\.\. )(ok|FAIL|ERROR|skipped .{0,300}|expected failure|unexpected success)$")
_SECTION = re.compile(r"^(FAIL|ERROR): (.{1,1200})$")
_RAN = re.compile(r"^Ran [0-9]+ tests? in ")
_PLACE = re.compile(r'File "([^"\n]+)", line ([0-9]+)')
_OUTCOMES = {
    "ok": TestOutcome.PASSED,
    "FAIL": TestOutcome.FAILED,
    "ERROR": TestOutcome.ERROR,
    "expected failure": TestOutcome.PASSED,
    "unexpected success": TestOutcome.FAILED,
}


def parse_unittest(text: str) -> Report:
    """Read the output; raises InvalidArgument when no test was run."""
    lines = checked_size(text).splitlines()
    ran = any(_RAN.match(line) for line in lines)
    messages = dict(_sections(lines))
    outcomes = _outcomes(lines, ended=ran)
    if not ran and not outcomes:
        raise InvalidArgument("this is no output of unittest")
    for name, (outcome, _) in messages.items():
        outcomes.setdefault(name, outcome)
    return Report(worst(_case(name, outcome, messages.get(name)) for name, outcome in outcomes.items()))


def _name(header: re.Match[str]) -> str:
    """Up to Python 3.10 the parentheses hold the class alone."""
    test, holder, part = header[1], header[2], header[3] or ""
    return (holder if holder.endswith(f".{test}") else f"{holder}.{test}") + part


def _outcomes(lines: list[str], *, ended: bool) -> dict[str, TestOutcome]:
    outcomes: dict[str, TestOutcome] = {}
    pending: str | None = None
    for line in lines:
        if line == "=" * 70:
            break
        header = _HEADER.match(line)
        pending = _name(header) if header is not None else pending
        found = _ENDED.search(line)
        if pending is not None and found is not None:
            outcomes[pending] = _OUTCOMES.get(found[1], TestOutcome.SKIPPED)
            pending = None
    if pending is not None and not ended:
        # It was killed in this one.
        outcomes[pending] = TestOutcome.ERROR
    return outcomes


def _sections(lines: list[str]) -> Iterator[tuple[str, tuple[TestOutcome, str]]]:
    """(test, (outcome, traceback)) of each failure below the dots."""
    for index, line in enumerate(lines):
        found = _SECTION.match(line)
        if found is None or index == 0 or lines[index - 1] != "=" * 70:
            continue
        header = _HEADER.match(found[2])
        body: list[str] = []
        for each in lines[index + 1 : index + 2000]:
            if each == "=" * 70 or _RAN.match(each):
                break
            if each != "-" * 70:
                body.append(each)
        yield _name(header) if header else found[2], (_OUTCOMES[found[1]], "\n".join(body))


def _case(name: str, outcome: TestOutcome, said: tuple[TestOutcome, str] | None) -> TestCase:
    text = said[1] if said is not None else ""
    file, line = place_in(text, _PLACE)
    return TestCase(id=name[:MAX_NAME], outcome=outcome, message=ending(text), file=file, line=line)
