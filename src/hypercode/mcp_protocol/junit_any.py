"""JUnit XML of any runner but pytest: nothing is guessed from names. An id is ``classname::name``."""

from collections.abc import Callable
from xml.etree import ElementTree

from hypercode.domain.check import TestCase
from hypercode.mcp_protocol.junit import identity_of, outcome_of, parse_junit, seconds_of, xml_root
from hypercode.mcp_protocol.reports import MAX_NAME, Report, checked_size, ending, relative, worst


def parse_junit_any(xml: str) -> Report:
    """Read a report; raises InvalidArgument for text that is none."""
    elements = list(xml_root(checked_size(xml)).iter("testcase"))
    return Report(worst(map(_case, elements)), _outputs(elements, _identity))


def parse_pytest(xml: str) -> Report:
    """Read pytest's own report, with what red tests printed."""
    cases = parse_junit(checked_size(xml))
    elements = list(xml_root(xml).iter("testcase"))
    return Report(worst(cases), _outputs(elements, lambda element: identity_of(element)[1]))


def _outputs(
    elements: list[ElementTree.Element], identity: Callable[[ElementTree.Element], str]
) -> dict[str, str]:
    said = {identity(element): ending(element.findtext("system-out") or "") for element in elements}
    return {name: text for name, text in said.items() if text}


def _identity(element: ElementTree.Element) -> str:
    holder, name = element.get("classname", ""), element.get("name", "")
    return (f"{holder}::{name}" if holder and holder != name else name or "unknown")[:MAX_NAME]


def _case(element: ElementTree.Element) -> TestCase:
    outcome, problem = outcome_of(element)
    holder, line = element.get("classname", ""), element.get("line", "")
    file = element.get("file") or (holder if "/" in holder or holder.endswith((".ts", ".js")) else None)
    parts = (problem.get("message", ""), problem.text or "") if problem is not None else ()
    return TestCase(
        id=_identity(element),
        outcome=outcome,
        duration_s=seconds_of(element.get("time", "0")),
        message=ending("\n".join(part for part in parts if part)),
        file=relative(file) if file else None,
        line=int(line[:9]) if line.isascii() and line.isdigit() else None,
    )
