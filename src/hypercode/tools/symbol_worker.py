"""A process that finds the symbols in source files with tree-sitter, and nothing else: ``python -m`` this file.

The parsers are C code on text of anybody, so they run here: without environment, without a way to write files, with
little memory and time. Each line of stdin is one file, each line of stdout the answer to one, in order. A file that
kills this process has no answer, and the parent knows which one it was.
"""

import base64
import importlib
import json
import resource
import sys
from collections.abc import Iterator
from typing import Any

from tree_sitter import Language, Node, Parser

MAX_SYMBOLS = 5000
MAX_DEPTH = 200
MEMORY = 1 << 30
CPU_S = 20

MODULES = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
}

_SCRIPT = {
    "class_declaration": "class",
    "abstract_class_declaration": "class",
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "method_definition": "method",
    "interface_declaration": "interface",
    "enum_declaration": "enum",
    "type_alias_declaration": "type",
    "internal_module": "module",
}
_C = {
    "function_definition": "function",
    "struct_specifier": "struct",
    "union_specifier": "struct",
    "enum_specifier": "enum",
    "type_definition": "type",
}
KINDS: dict[str, dict[str, str]] = {
    "python": {"class_definition": "class", "function_definition": "function"},
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "go": {"function_declaration": "function", "method_declaration": "method", "type_spec": "type"},
    "rust": {
        "function_item": "function",
        "struct_item": "struct",
        "enum_item": "enum",
        "trait_item": "interface",
        "mod_item": "module",
        "type_item": "type",
        "const_item": "constant",
        "macro_definition": "macro",
    },
    "java": {
        "class_declaration": "class",
        "record_declaration": "class",
        "interface_declaration": "interface",
        "enum_declaration": "enum",
        "method_declaration": "method",
        "constructor_declaration": "method",
    },
    "c": _C,
    "cpp": {**_C, "class_specifier": "class", "namespace_definition": "module"},
    "ruby": {"class": "class", "module": "module", "method": "method", "singleton_method": "method"},
}
_IN_A_TYPE = frozenset(["class", "interface", "struct", "enum"])
_NAMES = frozenset(
    [
        "identifier",
        "field_identifier",
        "type_identifier",
        "qualified_identifier",
        "destructor_name",
        "operator_name",
    ]
)
_FUNCTIONS = frozenset(["arrow_function", "function_expression", "generator_function"])


def symbols(language: str, data: bytes) -> list[dict[str, Any]]:
    """Return what a file declares, in the order of its lines."""
    module, function = MODULES[language]
    pointer: object = getattr(importlib.import_module(module), function)()
    tree = Parser(Language(pointer)).parse(data)
    found: list[dict[str, Any]] = []
    for node, kind, name, inside in _declared(tree.root_node, language):
        if len(found) >= MAX_SYMBOLS:
            break
        found.append(
            {
                "name": name,
                "kind": kind,
                "line": node.start_point[0] + 1,
                "end": node.end_point[0] + 1,
                "signature": _signature(node, data),
                "container": inside,
            }
        )
    return found


def _declared(root: Node, language: str) -> Iterator[tuple[Node, str, str, str | None]]:
    """Yield (node, kind, name, container) depth first; a stack of our own, since nesting has no limit."""
    waiting: list[tuple[Node, str | None, str | None, int]] = [(root, None, None, 0)]
    while waiting:
        node, inside, inside_kind, depth = waiting.pop()
        kind = _kind(node, language)
        name = _name(node) if kind else None
        if kind and name:
            if kind == "function" and inside_kind in _IN_A_TYPE:
                kind = "method"
            yield node, kind, name, inside
            inside, inside_kind = name, kind
        elif node.type == "impl_item":
            inside, inside_kind = _text(node.child_by_field_name("type")), "struct"
        if depth < MAX_DEPTH:
            waiting += [(child, inside, inside_kind, depth + 1) for child in reversed(node.named_children)]


def _kind(node: Node, language: str) -> str | None:
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        return "function" if value is not None and value.type in _FUNCTIONS else None
    kind = KINDS[language].get(node.type)
    if language == "go" and node.type == "type_spec":
        of = node.child_by_field_name("type")
        return {"struct_type": "struct", "interface_type": "interface"}.get(of.type if of else "", "type")
    if node.type in ("struct_specifier", "union_specifier", "enum_specifier", "class_specifier"):
        # Without a body it is a mention, not a declaration.
        return kind if node.child_by_field_name("body") is not None else None
    return kind


def _name(node: Node) -> str | None:
    named = node.child_by_field_name("name")
    if named is not None:
        return _text(named)
    below = node.child_by_field_name("declarator")
    for _ in range(MAX_DEPTH):
        if below is None or below.type in _NAMES:
            return _text(below)
        below = below.child_by_field_name("declarator")
    return None


def _text(node: Node | None) -> str | None:
    if node is None or node.text is None:
        return None
    return " ".join(node.text.decode("utf-8", "replace").split())[:200] or None


def _signature(node: Node, data: bytes) -> str:
    body = node.child_by_field_name("body")
    text = data[node.start_byte : body.start_byte if body is not None else node.end_byte][:2000]
    words = text.decode("utf-8", "replace")
    line = words if body is not None else words.split("\n")[0]
    return " ".join(line.split()).rstrip("{:= ")[:200]


def _confine() -> None:
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def main() -> None:
    """Answer each line; a file that can't be parsed has an error instead of symbols."""
    _confine()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer: dict[str, Any] = {
                "symbols": symbols(asked["language"], base64.b64decode(asked["data_b64"]))
            }
        except (MemoryError, RecursionError, ValueError) as failure:
            answer = {"error": type(failure).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
