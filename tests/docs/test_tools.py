"""The reference of tools is what the tools' schemas say: ``make tools-reference`` writes it."""

import re

from scripts.tools_reference import PAGE, page, registry


def test_every_tool_has_its_section_and_the_page_is_in_step() -> None:
    tools = registry()
    written = PAGE.read_text()
    assert re.findall(r"(?m)^## `(\w+)`$", written) == [tool.name for tool in tools]
    assert written == page(tools), "run: make tools-reference"


def test_errors_that_a_tool_names_are_codes() -> None:
    for tool in registry():
        assert all(re.fullmatch(r"[A-Z_]+", code) for code in tool.errors), tool.name
