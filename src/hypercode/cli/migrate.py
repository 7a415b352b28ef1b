"""``hypercode migrate``."""

import importlib

from hypercode.cli.environment import database_url, process_settings
from hypercode.store.schema import is_current


def migrate() -> None:
    """Bring the database of HYPERCODE_DATABASE_URL to this version."""
    url = database_url(process_settings())
    if not is_current(url):
        # Loaded only where there is something to do: each start asks, and nearly none needs it.
        importlib.import_module("hypercode.store.migrate").migrate(url)
