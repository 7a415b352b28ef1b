"""Fixtures: a verifier over a small repository, its checks run as processes of this machine."""

from pathlib import Path

import pytest
from tests.verification.bench import Court, LocalBench, open_court

from hypercode.domain.ids import new_id
from hypercode.store.database import Database


@pytest.fixture(scope="session")
def local_bench(tmp_path_factory: pytest.TempPathFactory) -> LocalBench:
    return LocalBench(tmp_path_factory.mktemp("bench") / "repository")


@pytest.fixture(scope="session")
def local_project_id() -> str:
    return new_id("project")


@pytest.fixture
async def court(local_bench: LocalBench, local_project_id: str, database: Database, tmp_path: Path) -> Court:
    return await open_court(local_bench, database, tmp_path, local_project_id)
