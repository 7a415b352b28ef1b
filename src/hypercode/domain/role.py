"""Who acts: the roles of agents and of people."""

from enum import StrEnum


class AgentRole(StrEnum):
    """The role a grant is minted for. A person's is for tools that people attach to a task themselves."""

    ARCHITECT = "architect"
    CODER = "coder"
    REVIEWER = "reviewer"
    PERSON = "person"


RUN_ROLES = (AgentRole.ARCHITECT, AgentRole.CODER)
"""The roles that a run is made for; the others have rules already, and no run yet."""


class PersonRole(StrEnum):
    """A person's role in an organisation, from most to least."""

    ADMIN = "admin"
    MAINTAINER = "maintainer"
    MEMBER = "member"
