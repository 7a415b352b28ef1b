"""Whose a memory is: taken from the grant and the call, never from what an agent says."""

from hypercode.domain.memory import Author
from hypercode.tools.registry import ToolContext


def author_of(context: ToolContext) -> Author:
    """Who a call's memory is from."""
    grant = context.grant
    return Author(
        organisation_id=grant.organisation_id,
        project_id=grant.project_id,
        task_id=grant.task_id,
        run_id=grant.run_id,
        author=grant.role.value,
        source_call=context.call_id,
    )
