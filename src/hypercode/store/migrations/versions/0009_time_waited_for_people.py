"""how long a run waited for people, which its budget of time does not pay for"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("waited_s", sa.Float(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("runs", "waited_s")
    op.drop_column("runs", "waiting_since")
