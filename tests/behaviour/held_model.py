"""A model server whose answers the test gives itself: every request waits until the test has looked at it."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 60


@dataclass
class Asked:
    """One request; it is answered by ``say``, or never, when the platform gave it up."""

    body: dict[str, Any]
    answer: queue.Queue[dict[str, Any]] = field(default_factory=lambda: queue.Queue(1))

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    @property
    def task(self) -> str:
        return next(text_of(message) for message in self.messages if message["role"] == "user")

    @property
    def last(self) -> str:
        return text_of(self.messages[-1])

    def say(self, text: str, *calls: tuple[str, dict[str, Any]]) -> None:
        made = [
            {
                "index": index,
                "id": f"call_{len(self.messages)}_{index}",
                "type": "function",
                "function": {"name": tool, "arguments": json.dumps(arguments)},
            }
            for index, (tool, arguments) in enumerate(calls)
        ]
        self.answer.put({"role": "assistant", "content": text, **({"tool_calls": made} if made else {})})

    def legal(self) -> bool:
        """Every call is answered once, and right after it was made."""
        due: list[str] = []
        for message in self.messages:
            if message["role"] == "tool":
                if message["tool_call_id"] not in due:
                    return False
                due.remove(message["tool_call_id"])
            elif due:
                return False
            due += [call["id"] for call in message.get("tool_calls") or []]
        return not due


class HeldModel:
    """The requests, in the order they came in."""

    def __init__(self) -> None:
        self.asked: queue.Queue[Asked] = queue.Queue()
        self._kept: list[Asked] = []

    def next(self, of: str = "") -> Asked:
        """The next request of the run whose task has these words."""
        for index, asked in enumerate(self._kept):
            if of in asked.task:
                return self._kept.pop(index)
        while True:
            asked = self.asked.get(timeout=WAIT_S)
            if of in asked.task:
                return asked
            self._kept.append(asked)


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


@contextmanager
def held_model() -> Iterator[tuple[HeldModel, str]]:
    model = HeldModel()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = Asked(body)
            model.asked.put(asked)
            message = asked.answer.get()
            with suppress(OSError):
                self._send(body, message)

        def _send(self, body: dict[str, Any], message: dict[str, Any]) -> None:
            reason = "tool_calls" if "tool_calls" in message else "stop"
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            base = {"id": "c", "created": 1_700_000_000, "model": body["model"]}
            if body.get("stream"):
                part = {"index": 0, "delta": message, "finish_reason": reason}
                chunks = [{"choices": [part]}, {"choices": [], "usage": usage}]
                lines = [{**base, "object": "chat.completion.chunk", **chunk} for chunk in chunks]
                text = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
                kind = "text/event-stream"
            else:
                choice = {"index": 0, "message": message, "finish_reason": reason}
                text = json.dumps({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
                kind = "application/json"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield model, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
