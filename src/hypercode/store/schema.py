"""Is the database at this version? Answered without loading what migrates it."""

from importlib.metadata import version
from pathlib import Path

import psycopg

from hypercode.store.database import psycopg_url

MARK = "schema"
VERSIONS = Path(__file__).parent / "migrations" / "versions"


def this_version() -> str:
    """Our migrations and the journal's library, whose schema moves with its version."""
    # Their number too: the last one of the chain need not have the highest name.
    names = sorted(path.stem.split("_")[0] for path in VERSIONS.glob("[0-9]*.py"))
    return f"{names[-1]}.{len(names)}+dbos-{version('dbos')}"


def is_current(url: str) -> bool:
    """True when ``store/migrate.py`` has finished for exactly this version."""
    conninfo = psycopg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(conninfo) as connection:
        try:
            row = connection.execute(
                "SELECT value->>'version' FROM instance WHERE key = %s", (MARK,)
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            return False
    return row is not None and row[0] == this_version()


def mark_current(url: str) -> None:
    conninfo = psycopg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            "INSERT INTO instance (key, value) VALUES (%s, jsonb_build_object('version', %s::text)) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (MARK, this_version()),
        )
