"""What a failure of the engine means to a person."""

import aiohttp
import pytest
from aiodocker.exceptions import DockerError

from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    NotFound,
    SandboxDown,
    SandboxLost,
    TooLarge,
)
from hypercode.sandbox.engine import Engine, engine_error


def broken_off() -> DockerError:
    """As the library raises it for a connection that breaks in the middle of a request."""
    failure = DockerError(900, "Cannot connect to Docker Engine")
    failure.__context__ = aiohttp.ServerDisconnectedError()
    return failure


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (DockerError(500, {"message": "mkdir /x: no space left on device"}), TooLarge),
        (OSError(28, "No space left on device"), TooLarge),
        (DockerError(404, {"message": "no such image"}), NotFound),
        (DockerError(400, {"message": "bad"}), InvalidArgument),
        (DockerError(500, {"message": "broken"}), SandboxDown),
        (DockerError(900, {"message": "cannot connect"}), SandboxDown),
        (ConnectionRefusedError("refused"), SandboxDown),
        (ConnectionResetError("reset"), SandboxLost),
        (broken_off(), SandboxLost),
    ],
)
def test_failures_have_a_kind_and_a_hint(failure: Exception, kind: type[HyperCodeError]) -> None:
    error = engine_error(failure)
    assert type(error) is kind
    if kind in (TooLarge, SandboxDown, SandboxLost):
        assert error.hint


@pytest.mark.anyio
async def test_no_number_of_connections_is_the_end() -> None:
    """Each sandbox keeps two for as long as it lives: with the library's hundred the 51st start waited for ever."""
    engine = Engine("unix:///nowhere/docker.sock")
    assert engine.docker.connector.limit == 0
    await engine.close()
