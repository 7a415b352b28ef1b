"""``hypercode worker`` serves the roles that have runs."""

import pytest

from hypercode.cli.worker import worker
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.role import RUN_ROLES, AgentRole


@pytest.mark.parametrize("role", sorted(set(AgentRole) - set(RUN_ROLES)))
def test_a_role_without_runs_is_refused(role: AgentRole) -> None:
    with pytest.raises(InvalidArgument, match=f"no runs of the role {role}"):
        worker(role=[AgentRole.CODER, role])
