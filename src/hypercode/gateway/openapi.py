"""The OpenAPI document, from which the web's client is generated."""

from collections.abc import Iterator
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from hypercode.gateway.errors import MEDIA_TYPE

Json = dict[str, Any]
REF = "#/components/schemas/"


def operation_id(route: APIRoute) -> str:
    """Name operations like their functions: ``verb_noun``."""
    return route.name


def document(app: FastAPI) -> Json:
    """Build the document; what the server sends always has every field, and says so."""
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    operations = list(_operations(schema))
    for operation in operations:
        _name_problems(operation)
    schemas = cast(dict[str, Json], schema["components"]["schemas"])
    sent = _reachable(schemas, [operation["responses"] for operation in operations])
    received = _reachable(schemas, [operation.get("requestBody", {}) for operation in operations])
    for name in sent - received:
        properties = schemas[name].get("properties", {})
        if properties:
            schemas[name]["required"] = list(properties)
    return schema


def _operations(schema: Json) -> Iterator[Json]:
    for path in schema["paths"].values():
        yield from path.values()


def _name_problems(operation: Json) -> None:
    problem = operation["responses"]["4XX"]
    # FastAPI files them under the media type of the good answer.
    (schema,) = problem["content"].values()
    problem["content"] = {MEDIA_TYPE: schema}


def _reachable(schemas: dict[str, Json], roots: list[Json]) -> set[str]:
    found: set[str] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(cast(list[Any], node))
        elif isinstance(node, dict):
            entries = cast(Json, node)
            name = str(entries.get("$ref", "")).removeprefix(REF)
            if name and name not in found:
                found.add(name)
                waiting.append(schemas.get(name, {}))
            waiting.extend(entries.values())
    return found
