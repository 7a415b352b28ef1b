"""Bring a database to this version: our tables by Alembic, the step journal's by DBOS."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from dbos import DBOS
from sqlalchemy import create_engine, text

from hypercode.store.database import psycopg_url
from hypercode.store.schema import mark_current

MIGRATION_LOCK = 7_419_001


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = psycopg_url(url)
    return config


def migrate(url: str) -> None:
    """Upgrade to the newest version; several processes may call it at once."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Autocommit: an open transaction here would block the journal's CREATE INDEX CONCURRENTLY for ever.
    engine = create_engine(psycopg_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        try:
            command.upgrade(alembic_config(url), "head")
            logging.getLogger("dbos").setLevel(logging.WARNING)
            DBOS.migrate(url)
            mark_current(url)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
    engine.dispose()
