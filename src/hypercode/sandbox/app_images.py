"""The images that a run may use: its own, its environment, and those of the allow-list."""

import fnmatch
import json
import re
from typing import Any, cast

from hypercode.domain.errors import NotFound, PolicyDenied
from hypercode.sandbox.apps import ENVIRONMENT, ImageRef
from hypercode.sandbox.dockerfiles import ImageSettings
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.names import LABELS, image_tag
from hypercode.settings import SandboxSettings

_IMAGE_ID = re.compile(r"img_[0-9a-f]{32}")


class AppImages:
    """Finds the images that a run may use."""

    def __init__(self, engine: Engine, settings: SandboxSettings) -> None:
        self._engine = engine
        self._settings = settings

    async def found(self, ref: ImageRef) -> dict[str, Any]:
        """Return what the engine knows of an image; raises PolicyDenied for one that is not the run's to use."""
        if ref.name == ENVIRONMENT:
            return await self._environment(ref)
        if _IMAGE_ID.fullmatch(ref.name):
            image = await self._engine.image(image_tag(ref.name))
            if image is None or field_of(image, "Labels").get(LABELS["owner"]) != ref.run_id:
                raise NotFound(f"there is no image {ref.name}", hint="Build it with container_build.")
            return image
        if not any(fnmatch.fnmatchcase(ref.name, allowed) for allowed in self._settings.allowed_images):
            raise PolicyDenied(
                f"the image {ref.name} is not on the list of allowed images",
                hint=f"Use {ENVIRONMENT!r}, an image of container_build, or one of: "
                + (", ".join(self._settings.allowed_images) or "(none)"),
            )
        image = await self._engine.image(ref.name)
        if image is None:
            raise NotFound(
                f"the image {ref.name} is not on this machine", hint="A person has to pull it first."
            )
        return image

    async def _environment(self, ref: ImageRef) -> dict[str, Any]:
        box = None if ref.sandbox_id is None else await self._engine.inspect(ref.sandbox_id)
        image = None if box is None else await self._engine.image(str(box["Image"]))
        if image is None:
            raise NotFound("the run has no sandbox, and so no environment")
        return image


def field_of(image: dict[str, Any], key: str) -> dict[str, Any]:
    """Return one of the maps in an image's configuration, {} where it has none."""
    return cast(dict[str, Any], cast(dict[str, Any], image.get("Config") or {}).get(key) or {})


def settings_of(image: dict[str, Any]) -> ImageSettings:
    """Return what an image says of the container that runs it: its program, and nothing that hardens it."""
    config = cast(dict[str, Any], image.get("Config") or {})
    pairs = (item.partition("=") for item in cast(list[str], config.get("Env") or []))
    entrypoint, command = _program(config)
    return ImageSettings(
        env={name: value for name, _, value in pairs},
        workdir=str(config.get("WorkingDir") or "/"),
        entrypoint=tuple(entrypoint),
        command=tuple(command),
    )


def _program(config: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return entrypoint and command. The engine puts a builder's own into an image that has none: ours have a label."""
    labels = cast(dict[str, str], config.get("Labels") or {})
    if labels.get(LABELS["kind"]) == "environment":
        return [], []
    if labels.get(LABELS["kind"]) == "image":
        entrypoint, command = json.loads(labels.get(LABELS["program"], "[[], []]"))
        return entrypoint, command
    return cast(list[str], config.get("Entrypoint") or []), cast(list[str], config.get("Cmd") or [])
