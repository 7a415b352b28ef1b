"""What makes an agent a Coder or an Architect: its words and its sizes. The loop is the same."""

from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from hypercode.domain.role import AgentRole


class AgentProfile(BaseModel):
    """A role's system prompt, whether it hands work on, and how much text it holds (in characters)."""

    model_config = ConfigDict(frozen=True)

    role: AgentRole
    system_prompt: str
    delegates: bool = False
    result_chars: int = 32_000
    history_chars: int = 400_000


def prompt(name: str) -> str:
    """The text of ``prompts/<name>.md``."""
    return files("hypercode.agents").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
