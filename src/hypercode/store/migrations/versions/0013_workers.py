"""workers and their leases; a place in the queue that is the run's own; priorities"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _workers()
    op.add_column("runs", sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("loop_version", sa.Integer(), server_default="1", nullable=False))
    queued, held = sa.text("queued_at IS NOT NULL"), sa.text("worker_id IS NOT NULL")
    op.create_index("ix_runs_queued", "runs", ["queued_at"], postgresql_where=queued)
    op.add_column("run_heads", sa.Column("worker_id", sa.Text(), nullable=True))
    op.create_index("ix_run_heads_held", "run_heads", ["worker_id"], postgresql_where=held)
    op.add_column("tasks", sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("projects", sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
    _carry_live_runs_over()


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("roles", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("loop_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        _moment("started_at"),
        _moment("heartbeat_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("runs_taken", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_index("ix_workers_state", "workers", ["state"])


def _moment(name: str) -> sa.Column:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def _carry_live_runs_over() -> None:
    """Until now a run's place was in the journal's own queue. There its open segments end, and the next one begins."""
    journal = op.get_bind().scalar(sa.text("SELECT to_regclass('dbos.workflow_status')"))
    if journal is None:
        return
    op.execute(
        "UPDATE dbos.workflow_status SET status = 'CANCELLED', owner_xid = NULL, queue_name = NULL "
        "WHERE name = 'run_segment' AND status IN ('ENQUEUED', 'PENDING')"
    )
    op.execute(
        "UPDATE runs SET queued_at = now(), segment = segment + 1 WHERE ended_at IS NULL AND parked_at IS NULL"
    )


def downgrade() -> None:
    op.drop_column("projects", "served_at")
    op.drop_column("tasks", "priority")
    op.drop_column("run_heads", "worker_id")
    for column in ("loop_version", "lost_at", "queued_at"):
        op.drop_column("runs", column)
    op.drop_table("workers")
