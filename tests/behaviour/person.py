"""A person who uses the HTTP API."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from tests.behaviour.platform import Platform


@dataclass(frozen=True)
class Person:
    """The first admin, signed in."""

    client: httpx2.Client
    headers: Mapping[str, str]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.post(f"/api/v1{path}", json=body, headers=self.headers)
        assert answer.is_success, answer.text
        return answer.json()

    def watch(self, run_id: str) -> dict[str, Any]:
        """Follow a run's events to the last, which is returned."""
        with self.client.stream("GET", f"/api/v1/runs/{run_id}/events", timeout=120) as stream:
            for line in stream.iter_lines():
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if event.get("type") == "run.finished":
                    return event["payload"]
        raise AssertionError("the stream ended before the run did")


@contextmanager
def first_admin(platform: Platform) -> Iterator[Person]:
    with httpx2.Client(base_url=platform.url, headers={"Origin": platform.url}, timeout=30) as client:
        account = {"email": "ada@example.org", "name": "Ada", "password": "four words of one person"}
        token = platform.setup_url.partition("token=")[2]
        answer = client.post("/api/v1/setup", json={"token": token, **account})
        assert answer.status_code == 201, answer.text
        yield Person(client, {"X-HyperCode-CSRF": answer.json()["csrf_token"]})
