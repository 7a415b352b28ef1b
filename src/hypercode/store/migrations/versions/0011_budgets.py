"""budgets that reserve: what a task may use and has used, what is held for calls under way, which runs wait"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

AMOUNTS = ("turns", "tokens", "cost_nano", "cpu_us", "unpriced")


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in names]


def _whole(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _of(noun: str, **options: bool) -> sa.Column[str]:
    target = sa.ForeignKey(f"{noun}s.id", ondelete="CASCADE", name=None)
    return sa.Column(f"{noun}_id", sa.Text(), target, nullable=False, **options)


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        _of("task"),
        sa.Column("limits", JSONB(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        *_counts(*AMOUNTS, *(f"held_{name}" for name in AMOUNTS)),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        *_counts("wall_us"),
        sa.Column("clock_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("ix_budgets_task_id", "budgets", ["task_id"])
    op.create_table(
        "budget_lines",
        _of("run", primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("accounts", JSONB(), nullable=False),
        *_whole(*AMOUNTS, "wall_us"),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
    )
    op.create_table(
        "budget_meters",
        _of("run", primary_key=True),
        sa.Column("sandbox", sa.Text(), nullable=False),
        *_whole("seen_us"),
        *_counts("used_us"),
    )
    op.create_table(
        "budget_pauses",
        _of("run", primary_key=True),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        _of("task"),
        sa.Column("accounts", JSONB(), nullable=False),
        sa.Column("need", JSONB(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("given_up", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_budget_pauses_task_id", "budget_pauses", ["task_id"])
    op.create_index("ix_budget_pauses_expires_at", "budget_pauses", ["expires_at"])


def downgrade() -> None:
    for table in ("budget_pauses", "budget_meters", "budget_lines", "budgets"):
        op.drop_table(table)
