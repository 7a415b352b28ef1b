"""an audit row and the head of its chain are written by one statement"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Filled with every row that follows; nothing reads it before.
    op.add_column("audit_heads", sa.Column("previous_hash", sa.LargeBinary(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("audit_heads", "previous_hash")
