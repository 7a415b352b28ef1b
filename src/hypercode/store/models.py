"""Which models the workers can reach, as they announced it; the gateway holds no key and asks none."""

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.model import BUILTIN_REPAIR, ModelInfo
from hypercode.store.tables import InstanceRow

KEY = "models"


BUILTIN_ENTRY = ModelInfo(
    name=BUILTIN_REPAIR,
    label="Built-in repair (no model)",
    available=True,
    note=(
        "No model connected. I can search small fixes in Python for a failing test (builtin/repair). "
        "Connect a key, Ollama or another URL for everything else."
    ),
)


async def announce_models(session: AsyncSession, entries: list[ModelInfo]) -> None:
    """Say which models can be reached; called by a worker when it starts. Replaces what was said before."""
    value = {"items": [entry.model_dump() for entry in entries]}
    await session.merge(InstanceRow(key=KEY, value=value))


async def announced_models(session: AsyncSession) -> list[ModelInfo]:
    """Return the announced models; the built-in one stands always, last."""
    row = await session.get(InstanceRow, KEY)
    entries = [ModelInfo.model_validate(item) for item in row.value["items"]] if row else []
    if any(entry.name == BUILTIN_REPAIR for entry in entries):
        return entries
    return [*entries, BUILTIN_ENTRY]


async def default_model(session: AsyncSession) -> str:
    """Return the first model that can be reached, else the built-in one."""
    entries = await announced_models(session)
    connected = [entry.name for entry in entries if entry.available and entry.name != BUILTIN_REPAIR]
    return connected[0] if connected else BUILTIN_REPAIR
