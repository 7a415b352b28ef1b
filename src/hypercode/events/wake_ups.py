"""Which way wake-ups come: the same that ``store/database.py`` sends them."""

import importlib

from hypercode.events.live import WakeUps
from hypercode.events.live_notify import NotifyWakeUps
from hypercode.store.database import Database


def wake_ups(database: Database, channel: str) -> WakeUps:
    """Return the listener for a channel; Redis's client is loaded only where one is configured."""
    if database.redis is None:
        return NotifyWakeUps(database.url, channel)
    return importlib.import_module("hypercode.events.live_redis").RedisWakeUps(database.redis, channel)
