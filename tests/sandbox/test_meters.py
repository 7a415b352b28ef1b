"""CPU meters: found by a container's id in either version of cgroups, looked for again when the container is another."""

from pathlib import Path
from typing import Any, cast

import pytest

from hypercode.sandbox.engine import Engine
from hypercode.sandbox.meters import PLACES, CpuMeters

pytestmark = pytest.mark.anyio


class Names:
    """An engine that knows which container has a name now."""

    def __init__(self) -> None:
        self.ids = {"box": "a" * 64}

    async def inspect(self, name: str) -> dict[str, Any] | None:
        return {"Id": self.ids[name]} if name in self.ids else None


def put(root: Path, place: str, id_: str, micros: int) -> Path:
    file = root / place.format(id=id_)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"usage_usec {micros}\nuser_usec 1\n" if place.endswith("stat") else f"{micros}000\n")
    return file


@pytest.mark.parametrize("place", PLACES)
async def test_a_meter_is_read_and_follows_the_name(tmp_path: Path, place: str) -> None:
    names = Names()
    meters = CpuMeters(cast(Engine, names), tmp_path)
    assert await meters.read("box") is None
    file = put(tmp_path, place, "a" * 64, 1234)
    seen = await meters.read("box")
    assert seen is not None
    assert (seen.container, seen.whole_us, meters.last("box")) == ("a" * 12, 1234, seen)
    file.unlink()
    assert await meters.read("box") is None
    assert meters.last("box") is None
    names.ids["box"] = "b" * 64
    put(tmp_path, place, "b" * 64, 5)
    again = await meters.read("box")
    assert again is not None
    assert (again.container, again.whole_us) == ("b" * 12, 5)


async def test_nothing_is_said_of_what_can_not_be_read(tmp_path: Path) -> None:
    meters = CpuMeters(cast(Engine, Names()), tmp_path)
    put(tmp_path, PLACES[0], "a" * 64, 1).write_text("nonsense")
    assert await meters.read("box") is None
    assert await meters.read("gone") is None
    assert await CpuMeters(cast(Engine, Names()), tmp_path / "none").read("box") is None
