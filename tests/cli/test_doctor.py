"""What ``hypercode doctor`` says of a Redis."""

import pytest
from pydantic import SecretStr
from tests.fixtures.redis_server import RedisServer

from hypercode.cli import doctor
from hypercode.domain.errors import Unavailable
from hypercode.settings import Settings


def test_a_redis_that_answers_and_one_that_does_not(redis_server: RedisServer) -> None:
    settings = Settings(redis_url=SecretStr(redis_server.url))
    assert doctor._redis(settings).endswith("answers")  # pyright: ignore[reportPrivateUsage]
    redis_server.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        doctor._redis(settings)  # pyright: ignore[reportPrivateUsage]
