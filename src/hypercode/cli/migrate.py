"""``hypercode migrate``."""

from hypercode.cli.environment import database_url, process_settings
from hypercode.store.migrate import migrate as upgrade


def migrate() -> None:
    """Bring the database of HYPERCODE_DATABASE_URL to this version."""
    upgrade(database_url(process_settings()))
