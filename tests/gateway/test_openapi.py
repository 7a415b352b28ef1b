"""The OpenAPI document that the web's client is generated from."""

import json
from typing import Any

import pytest

from hypercode.domain.event import PAYLOADS
from hypercode.gateway.app import api_document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return api_document()


def test_events_are_a_union_on_their_type(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["StreamedEvent"]["discriminator"]["propertyName"] == "type"
    assert set(schemas["StreamedEvent"]["discriminator"]["mapping"]) == set(PAYLOADS)
    assert schemas["EventPage"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/StreamedEvent"
    }


def test_every_operation_is_named_once_and_declares_its_problems(document: dict[str, Any]) -> None:
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]


def test_what_is_sent_always_has_every_field(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("Run", "Task", "TaskDetail", "Verdict", "Finding", "RunFinished", "Problem", "User"):
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"]), name


def test_no_secret_is_ever_an_output(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("User", "Me", "Run", "ApiToken"):
        assert not {"password", "password_hash", "token_sha256", "grant_token"} & set(
            schemas[name]["properties"]
        )
    assert "hunter2" not in json.dumps(document)
