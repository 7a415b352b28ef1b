"""Alembic's entry: online only, on the URL that ``store/migrate.py`` passes."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from hypercode.store.tables import Base

config = context.config
engine = create_engine(config.attributes["url"], poolclass=NullPool)
with engine.connect() as connection:
    # A migration that waits behind a long transaction must not queue everybody else behind itself.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
