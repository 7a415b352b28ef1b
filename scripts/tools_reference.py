"""Writes docs/reference/tools.md from the tools' own schemas: ``make tools-reference``. Change them, never the page.

What a field means is its ``Field(description=...)``, what a tool may refuse its ``errors``.
"""

import json
from pathlib import Path
from typing import Any

from biscuit_auth import KeyPair

from hypercode.store.database import Database
from hypercode.tools.app import all_tools
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.registry import Registry, Tool

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "tools.md"

HEAD = """# Tools

What agents can call, over MCP and in no other way. Made from the tools' own schemas by `make tools-reference`; do not
edit this page. Arguments and results are closed: an unknown field, or a value of another type, is `INVALID_ARGUMENT`.
Which role may call what is decided by the policy; a call that it does not allow is `POLICY_DENIED`, one that a person
has to approve first `PENDING_APPROVAL`. A client with forms is asked in the answer instead (`input_required`):
[approve](../how-to/approve.md#in-an-mcp-client).

A path is relative to the workspace. `..`, absolute paths elsewhere and links that lead out of the workspace are
`PATH_OUTSIDE`. A list that was cut has `truncated` set; where there is a `next_cursor`, the same call with it as
`cursor` goes on from there. A cursor works for the same tool, arguments and run only.

Every tool may also answer with `RATE_LIMITED`, `TIMEOUT`, `TOO_LARGE`, `SANDBOX_DOWN`, `UNCERTAIN` (the platform or the
sandbox went away during the call; whether it had an effect is unknown) and `INTERNAL`. Each error has `code`, `message`, `hint`
and `retryable`.
"""


def registry() -> Registry:
    """All tools of the tools process; nothing is connected to."""
    public = bytes(KeyPair().public_key.to_bytes()).hex()
    keys = PlatformKeys(platform="-", verifier="-", sandboxd="-", grant_public_hex=public)
    return all_tools(Database("postgresql://nowhere/nothing"), keys)


def page(tools: Registry) -> str:
    """The whole page."""
    return HEAD + "".join(section(tool) for tool in tools)


def section(tool: Tool[Any]) -> str:
    """One tool: what it does, its traits, arguments, result, errors."""
    definition = tool.definition()
    parts = [f"\n## `{tool.name}`\n", tool.description, "", _traits(tool), ""]
    parts += _table("Argument", definition.input_schema, "It takes no arguments.")
    parts += ["", *_table("Result", definition.output_schema or {}, "It returns no fields.")]
    if tool.errors:
        parts += ["", "Errors: " + ", ".join(f"`{code}`" for code in tool.errors) + "."]
    return "\n".join(parts) + "\n"


def _traits(tool: Tool[Any]) -> str:
    kind = "Reads only" if tool.read_only else "Writes, may destroy" if tool.destructive else "Writes"
    extra = ["idempotent"] if tool.idempotent and not tool.read_only else []
    extra += ["reaches outside the sandbox"] if tool.open_world else []
    return "; ".join([kind, *extra]) + "."


def _table(title: str, schema: dict[str, Any], none: str) -> list[str]:
    fields: dict[str, dict[str, Any]] = schema.get("properties", {})
    if not fields:
        return [none]
    known: dict[str, dict[str, Any]] = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    rows = [f"| {title} | Type | Means |", "|---|---|---|"]
    for name, field in fields.items():
        default = (
            "" if name in required or "default" not in field else f" Default: `{_value(field['default'])}`."
        )
        means = str(field.get("description", "")) + default
        rows.append(f"| `{name}` | {_type(field, known)} | {_cell(means.strip())} |")
    return rows


def _value(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _type(field: dict[str, Any], known: dict[str, dict[str, Any]]) -> str:
    if "$ref" in field:
        return _named(known[field["$ref"].rpartition("/")[2]], known)
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(_type(each, known) for each in field[union])
    if "enum" in field:
        return " or ".join(f"`{each}`" for each in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return "list of " + _type(field.get("items", {}), known) + _limits(field, "Items")
    return {"null": "none"}.get(field.get("type", "any"), field.get("type", "any")) + _limits(field, "Length")


def _named(model: dict[str, Any], known: dict[str, dict[str, Any]]) -> str:
    if "properties" not in model:
        return _type(model, known)
    required = set(model.get("required", ()))
    names = [f"`{name}`" if name in required else f"`{name}`?" for name in model["properties"]]
    return "object of " + ", ".join(names)


def _limits(field: dict[str, Any], unit: str) -> str:
    low, high = (
        field.get(name, field.get(side + unit)) for name, side in (("minimum", "min"), ("maximum", "max"))
    )
    counted = (
        ""
        if unit == "Length" and "maximum" in field
        else " " + {"Items": "items", "Length": "characters"}[unit]
    )
    if high is not None:
        return f" ({f'{low} to ' if low is not None else 'at most '}{high}{counted})"
    return f" (at least {low})" if low is not None and "minimum" in field else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(registry()))
