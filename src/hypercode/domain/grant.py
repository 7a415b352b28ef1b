"""A grant: what one run, in one role, may do through the tools. Carried as a signed biscuit token."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from hypercode.domain.role import AgentRole


class Grant(BaseModel):
    """The verified content of a token. ``tools`` None means: what the role's policy allows.

    ``lineage`` names the runs that the token was narrowed through, outermost first; the last is the parent.
    """

    model_config = ConfigDict(frozen=True)

    organisation_id: str
    project_id: str
    task_id: str
    run_id: str
    workspace_id: str
    role: AgentRole
    expires_at: datetime
    tools: frozenset[str] | None = None
    lineage: tuple[str, ...] = ()
