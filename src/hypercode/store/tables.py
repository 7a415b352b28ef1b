"""Every table of the platform. Postgres is the truth; all else can be lost and made again.

Organisation and project ids stand on every row that belongs to one, from the first migration on.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - the shape SQLAlchemy asks for
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        str: Text,
    }


class Stamped:
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


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


class ProjectRow(Stamped, Base):
    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str]
    source_kind: Mapped[str] = mapped_column(String(20))
    source: Mapped[str]
    environment: Mapped[dict[str, Any]]
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)


class TaskRow(Stamped, Base):
    __tablename__ = "tasks"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    prompt: Mapped[str]
    model: Mapped[str]
    routing: Mapped[str] = mapped_column(String(20))
    checks: Mapped[list[Any]]
    require: Mapped[str] = mapped_column(String(20))
    budget: Mapped[dict[str, Any]]
    include_dirty: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (Index("ix_tasks_organisation_created", "organisation_id", "created_at"),)


class RunRow(Stamped, Base):
    __tablename__ = "runs"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), index=True)
    parent_run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    plan_item_id: Mapped[str | None]
    goal: Mapped[str]
    role: Mapped[str] = mapped_column(String(20))
    model: Mapped[str]
    status: Mapped[str] = mapped_column(String(20), index=True)
    wait_reason: Mapped[str | None] = mapped_column(String(20))
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    workspace_id: Mapped[str] = mapped_column(unique=True)
    sandbox_id: Mapped[str | None]
    grant_token: Mapped[str]
    trace_parent: Mapped[str | None]
    base_commit: Mapped[str | None]
    head_commit: Mapped[str | None]
    protected_paths: Mapped[list[Any] | None]
    frozen: Mapped[dict[str, Any] | None]
    proof: Mapped[str | None] = mapped_column(String(20))
    verified: Mapped[bool | None]
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    turns: Mapped[int] = mapped_column(Integer, server_default="0")
    cost_usd: Mapped[float] = mapped_column(Float, server_default="0")
    cancel_requested_at: Mapped[datetime | None]
    segment: Mapped[int] = mapped_column(Integer, server_default="0")
    parked_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    waited_s: Mapped[float] = mapped_column(Float, server_default="0")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class RunHeadRow(Base):
    """The last seq given out in a run; locking this row orders the run's events."""

    __tablename__ = "run_heads"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


class RunEventRow(Base):
    """An event. ``step_key`` and ``n`` make an append by a repeated step a no-op."""

    __tablename__ = "run_events"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    step_key: Mapped[str]
    n: Mapped[int]
    type: Mapped[str] = mapped_column(String(60))
    payload: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    __table_args__ = (UniqueConstraint("run_id", "step_key", "n"),)


class PlanRow(Stamped, Base):
    __tablename__ = "plans"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    plan: Mapped[dict[str, Any]]
    __table_args__ = (UniqueConstraint("run_id", "version"),)


class MemoryRow(Base):
    """What a run left for later runs of its project. A trigger refuses every UPDATE; ``words`` is what search reads."""

    __tablename__ = "memories"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    task_id: Mapped[str]
    run_id: Mapped[str]
    author: Mapped[str] = mapped_column(String(20))
    source_call: Mapped[str]
    trust: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str]
    text: Mapped[str]
    status: Mapped[str | None] = mapped_column(String(20))
    details: Mapped[dict[str, Any]]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    words: Mapped[str]
    supersedes: Mapped[str | None] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    __table_args__ = (
        UniqueConstraint("run_id", "author", "source_call"),
        Index("ix_memories_project_created", "project_id", "created_at"),
        Index("ix_memories_words", sql_text("to_tsvector('english', words)"), postgresql_using="gin"),
    )


class ArtifactRow(Stamped, Base):
    __tablename__ = "artifacts"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    __table_args__ = (UniqueConstraint("run_id", "kind", "name"),)


class AuditRow(Base):
    """One decision and one outcome for each tool call, chained by hash within a run."""

    __tablename__ = "audit"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    call_id: Mapped[str]
    kind: Mapped[str] = mapped_column(String(10))
    tool: Mapped[str]
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    __table_args__ = (UniqueConstraint("run_id", "call_id", "kind"),)


class AuditHeadRow(Base):
    """The end of a run's audit chain; locking this row orders the chain."""

    __tablename__ = "audit_heads"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditSealRow(Base):
    """Where a run's audit chain stood when it was sealed, chained by hash over the whole platform."""

    __tablename__ = "audit_seals"
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[str]
    run_seq: Mapped[int] = mapped_column(BigInteger)
    run_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    at: Mapped[datetime]
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    __table_args__ = (UniqueConstraint("run_id", "run_seq"),)


class JournalRow(Base):
    """A tool call by idempotency key: running, or done with its result. A key never runs twice."""

    __tablename__ = "journal"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    tool: Mapped[str]
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    owner: Mapped[str]
    result: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class ApprovalRow(Base):
    """A person's word on one exact tool call, asked for in the transaction that decided the call."""

    __tablename__ = "approvals"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    call_key: Mapped[str | None]
    tool: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    binding: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str]
    reason: Mapped[str]
    touched: Mapped[dict[str, Any]]
    facts_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    scope: Mapped[str | None] = mapped_column(String(10))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
    used_at: Mapped[datetime | None]
    used_key: Mapped[str | None]
    __table_args__ = (
        Index("ix_approvals_run", "run_id", "binding"),
        Index(
            "uq_approvals_pending",
            "run_id",
            "binding",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_approvals_state", "organisation_id", "state", "requested_at"),
        Index(
            "ix_approvals_standing", "project_id", "facts_sha256", postgresql_where=text("state = 'approved'")
        ),
        Index("ix_approvals_due", "expires_at", postgresql_where=text("state = 'pending'")),
    )


class QuestionRow(Base):
    """What an agent asks a person."""

    __tablename__ = "questions"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    question: Mapped[str]
    options: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(String(10))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_questions_run", "run_id", "requested_at"),
        Index("ix_questions_state", "organisation_id", "state", "requested_at"),
        Index("ix_questions_due", "expires_at", postgresql_where=text("state = 'open'")),
    )


class BaseResultRow(Stamped, Base):
    """What a check reported on a tree in an image, by the hash of the three; it never changes."""

    __tablename__ = "base_results"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    report: Mapped[dict[str, Any]]


class DeploymentRow(Stamped, Base):
    """An app of a task at a preview's address. ``deadline``: when one that still starts has failed."""

    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    container_id: Mapped[str]
    image: Mapped[str]
    port: Mapped[int]
    health: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str]
    preview_id: Mapped[str] = mapped_column(index=True)
    replaces_id: Mapped[str | None]
    deadline: Mapped[datetime]
    expires_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        Index(
            "uq_deployments_serving", "preview_id", unique=True, postgresql_where=text("status = 'serving'")
        ),
    )


class PreviewPassRow(Base):
    """A one-time ticket to a preview, or the cookie it was changed for; ends with the sign-in it came from."""

    __tablename__ = "preview_passes"
    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    preview_id: Mapped[str]
    session_sha256: Mapped[str] = mapped_column(
        ForeignKey("user_sessions.token_sha256", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[datetime]


class SecretRow(Stamped, Base):
    """A project's secret, sealed to the tools process. A deleted one keeps its row, so that versions never repeat."""

    __tablename__ = "secrets"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    version: Mapped[int]
    sealed: Mapped[bytes | None]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class SecretUseRow(Stamped, Base):
    """A secret that a run was given. Its sealed value stays until the run's workspace closes: it is kept out of results."""

    __tablename__ = "secret_uses"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    sealed: Mapped[bytes | None]
