"""Every table of the platform. Postgres is the truth; all else can be lost and made again.

Organisation and project ids stand on every row that belongs to one, from the first migration on.
"""

from hypercode.store.tables.approvals import ApprovalRow, QuestionRow
from hypercode.store.tables.archives import ArchiveRow
from hypercode.store.tables.audit import AuditHeadRow, AuditRow, AuditSealRow, JournalRow
from hypercode.store.tables.base import Base, Stamped
from hypercode.store.tables.budgets import BudgetLineRow, BudgetMeterRow, BudgetPauseRow, BudgetRow
from hypercode.store.tables.deployments import DeploymentRow, PreviewPassRow
from hypercode.store.tables.memories import MemoryRow
from hypercode.store.tables.projects import BaseResultRow, ProjectRow
from hypercode.store.tables.runs import ArtifactRow, RunEventRow, RunHeadRow, RunRow
from hypercode.store.tables.secrets import SecretRow, SecretUseRow
from hypercode.store.tables.snapshots import SnapshotRow
from hypercode.store.tables.steering import RunCommandRow
from hypercode.store.tables.tasks import PlanRow, TaskRow
from hypercode.store.tables.users import ApiTokenRow, InstanceRow, OrganisationRow, UserRow, UserSessionRow
from hypercode.store.tables.workers import WorkerRow

__all__ = [
    "ApiTokenRow",
    "ApprovalRow",
    "ArchiveRow",
    "ArtifactRow",
    "AuditHeadRow",
    "AuditRow",
    "AuditSealRow",
    "Base",
    "BaseResultRow",
    "BudgetLineRow",
    "BudgetMeterRow",
    "BudgetPauseRow",
    "BudgetRow",
    "DeploymentRow",
    "InstanceRow",
    "JournalRow",
    "MemoryRow",
    "OrganisationRow",
    "PlanRow",
    "PreviewPassRow",
    "ProjectRow",
    "QuestionRow",
    "RunCommandRow",
    "RunEventRow",
    "RunHeadRow",
    "RunRow",
    "SecretRow",
    "SecretUseRow",
    "SnapshotRow",
    "Stamped",
    "TaskRow",
    "UserRow",
    "UserSessionRow",
    "WorkerRow",
]
