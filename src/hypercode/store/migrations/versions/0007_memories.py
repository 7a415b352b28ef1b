"""what runs leave behind for later runs of their project"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UNCHANGING = """
CREATE FUNCTION memories_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a memory is never changed, only superseded';
END $$
"""


def upgrade() -> None:
    op.create_table(
        "memories",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=20), nullable=False),
        sa.Column("source_call", sa.Text(), nullable=False),
        sa.Column("trust", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_memories_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
        sa.UniqueConstraint(
            "run_id", "author", "source_call", name=op.f("uq_memories_run_id_author_source_call")
        ),
        sa.UniqueConstraint("supersedes", name=op.f("uq_memories_supersedes")),
    )
    op.create_index("ix_memories_project_created", "memories", ["project_id", "created_at"])
    op.create_index(
        "ix_memories_words",
        "memories",
        [sa.text("to_tsvector('english', words)")],
        postgresql_using="gin",
    )
    op.execute(UNCHANGING)
    op.execute(
        "CREATE TRIGGER memories_never_change BEFORE UPDATE ON memories "
        "FOR EACH ROW EXECUTE FUNCTION memories_never_change()"
    )


def downgrade() -> None:
    op.drop_table("memories")
    op.execute("DROP FUNCTION memories_never_change()")
