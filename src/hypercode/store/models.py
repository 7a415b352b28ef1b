"""Which models the workers can reach, as they announced it; the gateway holds no key and asks none."""

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.tables import InstanceRow

KEY = "models"
BUILTIN = "builtin/repair"


class ModelEntry(BaseModel):
    """A model as the composer shows it; ``note`` says what it can do or what is missing."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    available: bool
    note: str


BUILTIN_ENTRY = ModelEntry(
    name=BUILTIN,
    label="Built-in repair (no model)",
    available=True,
    note=(
        "No model connected. I can search small fixes in Python for a failing test (builtin/repair). "
        "Connect a key, Ollama or another URL for everything else."
    ),
)


async def announce_models(session: AsyncSession, entries: list[ModelEntry]) -> None:
    """Say which models can be reached; called by a worker when it starts. Replaces what was said before."""
    value = {"items": [entry.model_dump() for entry in entries]}
    await session.merge(InstanceRow(key=KEY, value=value))


async def announced_models(session: AsyncSession) -> list[ModelEntry]:
    """Return the announced models; the built-in one stands always, last."""
    row = await session.get(InstanceRow, KEY)
    entries = [ModelEntry.model_validate(item) for item in row.value["items"]] if row else []
    if any(entry.name == BUILTIN for entry in entries):
        return entries
    return [*entries, BUILTIN_ENTRY]


async def default_model(session: AsyncSession) -> str:
    """Return the first model that can be reached, else the built-in one."""
    entries = await announced_models(session)
    connected = [entry.name for entry in entries if entry.available and entry.name != BUILTIN]
    return connected[0] if connected else BUILTIN
