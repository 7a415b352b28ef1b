"""approvals, questions, and runs that wait for a person without holding a worker"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("segment", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("protected_paths", postgresql.JSONB(), nullable=True))
    _approvals()
    _questions()


def _approvals() -> None:
    op.create_table(
        "approvals",
        *_of_a_run(),
        sa.Column("call_key", sa.Text(), nullable=True),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(), nullable=False),
        sa.Column("arguments_sha256", sa.String(length=64), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("binding", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("touched", postgresql.JSONB(), nullable=False),
        sa.Column("facts_sha256", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_key", sa.Text(), nullable=True),
        *_keys("approvals"),
    )
    pending, approved = sa.text("state = 'pending'"), sa.text("state = 'approved'")
    op.create_index("ix_approvals_run", "approvals", ["run_id", "binding"])
    op.create_index(
        "uq_approvals_pending", "approvals", ["run_id", "binding"], unique=True, postgresql_where=pending
    )
    op.create_index("ix_approvals_state", "approvals", ["organisation_id", "state", "requested_at"])
    op.create_index(
        "ix_approvals_standing", "approvals", ["project_id", "facts_sha256"], postgresql_where=approved
    )
    op.create_index("ix_approvals_due", "approvals", ["expires_at"], postgresql_where=pending)


def _questions() -> None:
    op.create_table(
        "questions",
        *_of_a_run(),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        *_keys("questions"),
    )
    op.create_index("ix_questions_run", "questions", ["run_id", "requested_at"])
    op.create_index("ix_questions_state", "questions", ["organisation_id", "state", "requested_at"])
    op.create_index(
        "ix_questions_due", "questions", ["expires_at"], postgresql_where=sa.text("state = 'open'")
    )


def _of_a_run() -> list[sa.Column[object]]:
    ids = ("id", "organisation_id", "project_id", "task_id", "run_id")
    return [
        *(sa.Column(name, sa.Text(), nullable=False) for name in ids),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    ]


def _keys(table: str) -> tuple[sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def downgrade() -> None:
    op.drop_table("questions")
    op.drop_table("approvals")
    op.drop_column("runs", "protected_paths")
    op.drop_column("runs", "parked_at")
    op.drop_column("runs", "segment")
