"""How many tokens a request has at most, before anybody has counted them.

Half a token for each byte: English and code have about a quarter, other scripts a third. A provider counts with a
vocabulary of its own; what it said of the last request is taken for that part, and only what came since is guessed.
"""

import json
from math import ceil

from hypercode.llm.base import ModelRequest

TOKENS_PER_BYTE = 0.5
MESSAGE_TOKENS = 16
REQUEST_TOKENS = 512


class Sizes:
    """Guesses for the requests of one run, each longer than the last one as a rule."""

    def __init__(self) -> None:
        self._last_guess = 0
        self._last_counted = 0

    def most(self, request: ModelRequest) -> int:
        """The most tokens that this request can have."""
        guess = _guess(request)
        if self._last_counted and guess >= self._last_guess:
            return min(guess, self._last_counted + (guess - self._last_guess) + REQUEST_TOKENS)
        return guess

    def counted(self, request: ModelRequest, tokens: int) -> None:
        """The provider counted so many tokens in this request."""
        self._last_guess, self._last_counted = _guess(request), tokens


def _guess(request: ModelRequest) -> int:
    size = sum(len(tool.name) + len(tool.description) for tool in request.tools)
    size += sum(len(json.dumps(tool.parameters)) for tool in request.tools)
    for message in request.messages:
        size += len((message.opaque or message.content).encode())
        size += sum(len(call.tool) + len(json.dumps(call.arguments)) for call in message.calls)
    return ceil(size * TOKENS_PER_BYTE) + MESSAGE_TOKENS * len(request.messages) + REQUEST_TOKENS
