"""deployments, and the passes that open their previews"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _time(name: str, **more: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, **more)


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("container_id", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("health", postgresql.JSONB(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("preview_id", sa.Text(), nullable=False),
        sa.Column("replaces_id", sa.Text(), nullable=True),
        _time("deadline"),
        _time("expires_at"),
        _time("updated_at", server_default=sa.text("now()")),
        _time("created_at", server_default=sa.text("now()")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="fk_deployments_task_id_tasks", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_deployments_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
    )
    op.create_index("ix_deployments_task_id", "deployments", ["task_id"])
    op.create_index("ix_deployments_preview_id", "deployments", ["preview_id"])
    op.create_index(
        "uq_deployments_serving",
        "deployments",
        ["preview_id"],
        unique=True,
        postgresql_where=sa.text("status = 'serving'"),
    )
    op.create_table(
        "preview_passes",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("preview_id", sa.Text(), nullable=False),
        sa.Column("session_sha256", sa.Text(), nullable=False),
        _time("expires_at"),
        sa.ForeignKeyConstraint(
            ["session_sha256"],
            ["user_sessions.token_sha256"],
            name="fk_preview_passes_session_sha256_user_sessions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_preview_passes"),
    )
    op.create_index("ix_preview_passes_session_sha256", "preview_passes", ["session_sha256"])


def downgrade() -> None:
    op.drop_table("preview_passes")
    op.drop_table("deployments")
