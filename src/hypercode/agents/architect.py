"""The Architect: reads, plans, and hands the plan's items to Coders; its workspace is read-only."""

from hypercode.agents.profile import AgentProfile, prompt
from hypercode.domain.role import AgentRole


def architect() -> AgentProfile:
    return AgentProfile(role=AgentRole.ARCHITECT, system_prompt=prompt("architect"), delegates=True)
