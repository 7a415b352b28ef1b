"""what people tell runs, and runs that begin where another one was"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("pause_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("era", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("forked_from", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("forked_at_seq", sa.BigInteger(), nullable=True))
    op.create_foreign_key("fk_runs_forked_from_runs", "runs", "runs", ["forked_from"], ["id"])
    op.create_index("ix_runs_forked_from", "runs", ["forked_from"])
    _commands()


def _commands() -> None:
    op.create_table(
        "run_commands",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("organisation_id", "project_id", "task_id", "run_id")
        ),
        sa.Column("verb", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("step", sa.Text(), nullable=True),
        *(
            sa.Column(name, sa.Text(), server_default="", nullable=False)
            for name in ("code", "message", "hint")
        ),
        sa.Column("made_run_id", sa.Text(), nullable=True),
        sa.Column("era", sa.Integer(), nullable=True),
        sa.Column("era_start", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_run_commands_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_run_commands"),
    )
    pending, stepped = sa.text("state = 'requested'"), sa.text("step IS NOT NULL")
    op.create_index("ix_run_commands_run", "run_commands", ["run_id", "number"])
    op.create_index("ix_run_commands_pending", "run_commands", ["run_id"], postgresql_where=pending)
    op.create_index("ix_run_commands_step", "run_commands", ["run_id", "step"], postgresql_where=stepped)


def downgrade() -> None:
    op.drop_table("run_commands")
    op.drop_constraint("fk_runs_forked_from_runs", "runs", type_="foreignkey")
    for column in ("forked_at_seq", "forked_from", "era", "pause_requested_at"):
        op.drop_column("runs", column)
