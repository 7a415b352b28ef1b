"""The Coder: works in its own workspace until the task is done, or it can say why not."""

from hypercode.agents.profile import AgentProfile, prompt
from hypercode.domain.role import AgentRole


def coder() -> AgentProfile:
    return AgentProfile(role=AgentRole.CODER, system_prompt=prompt("coder"))
