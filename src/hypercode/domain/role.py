"""Who acts: the roles of agents and of people."""

from enum import StrEnum


class AgentRole(StrEnum):
    """The role a grant is minted for."""

    ARCHITECT = "architect"
    CODER = "coder"


class PersonRole(StrEnum):
    """A person's role in an organisation, from most to least."""

    ADMIN = "admin"
    MAINTAINER = "maintainer"
    MEMBER = "member"
