"""Organisations, people, and how they are known."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class OrganisationRow(Stamped, Base):
    __tablename__ = "organisations"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class UserRow(Stamped, Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str]


class UserSessionRow(Stamped, Base):
    """A signed-in browser; only the hash of its cookie is kept."""

    __tablename__ = "user_sessions"
    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ApiTokenRow(Stamped, Base):
    """A person's token for programs; only its hash is kept."""

    __tablename__ = "api_tokens"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(unique=True)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class InstanceRow(Base):
    """Facts of this instance by key, such as the first-run link's hash."""

    __tablename__ = "instance"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
