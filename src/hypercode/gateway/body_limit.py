"""A cap on request bodies, before anything reads them."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypercode.domain.errors import TooLarge
from hypercode.gateway.errors import error_response

MAX_BODY = 1024 * 1024


class BodyLimit:
    """Refuses bodies over the cap by their stated length, and cuts those that state none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        # A length that is no number was refused by the server already.
        if stated.isdecimal() and int(stated[:20]) > MAX_BODY:
            await error_response(scope, _too_large())(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise _too_large()
            return message

        await self._app(scope, counted, send)


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {MAX_BODY} bytes.")
