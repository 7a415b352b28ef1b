"""A project's secrets: set and deleted here, never read back. This process can seal values and not open them."""

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, SecretStr

from hypercode.domain.errors import InvalidArgument, Unavailable
from hypercode.domain.secret import Secret, SecretName, checked_value
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession, require_maintainer
from hypercode.store import secrets
from hypercode.store.projects import get_project

router = APIRouter(prefix="/projects/{project_id}/secrets", tags=["secrets"])

NameInPath = Annotated[SecretName, Path()]


class SecretValue(BaseModel):
    """8 bytes to 32 KiB of text."""

    model_config = ConfigDict(extra="forbid")

    value: SecretStr


class SecretList(BaseModel):
    items: list[Secret]


def sealing_key(keys_dir: FilePath) -> str:
    """Return the public half that values are sealed with; raises Unavailable."""
    try:
        return (keys_dir / "secrets.pub").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unavailable(
            "The key to seal secrets with can't be read.", hint="`hypercode keys DIRECTORY` makes it."
        ) from error


def value_of(text: str) -> str:
    """Return a value that can be kept; raises InvalidArgument, which does not show it."""
    try:
        return checked_value(text)
    except ValueError as error:
        raise InvalidArgument(f"{error}.".capitalize()) from None


@router.get("")
async def list_secrets(project_id: str, caller: CurrentCaller, session: DbSession) -> SecretList:
    project = await get_project(session, caller.user.organisation_id, project_id)
    return SecretList(items=await secrets.list_secrets(session, project.id))


@router.put("/{name}")
async def set_secret(
    project_id: str,
    name: NameInPath,
    body: SecretValue,
    caller: CurrentCaller,
    parts: AppParts,
    session: DbSession,
) -> Secret:
    require_maintainer(caller, "set secrets")
    project = await get_project(session, caller.user.organisation_id, project_id)
    value = value_of(body.value.get_secret_value())
    key = sealing_key(parts.settings.keys_dir)
    return await secrets.set_secret(session, key, project, name, value, caller.user.email)


@router.delete("/{name}", status_code=204)
async def delete_secret(project_id: str, name: NameInPath, caller: CurrentCaller, session: DbSession) -> None:
    require_maintainer(caller, "delete secrets")
    project = await get_project(session, caller.user.organisation_id, project_id)
    await secrets.delete_secret(session, project.id, name)
