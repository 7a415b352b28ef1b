"""An environment: the image and set-up that a project's checks run in."""

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """How an environment is made from the base commit: a base image, set-up lines, environment variables.

    ``source`` says where the recipe came from (setting, devcontainer, dockerfile, detected).
    ``setup`` are shell lines run in the work tree, in the builder container.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    base_image: str
    setup: list[str]
    env: dict[str, str] = Field(default_factory=dict)
    input_digest: str = ""


class Environment(BaseModel):
    """A built environment: image reference and id, the recipe and its digest, and whether it was cached."""

    model_config = ConfigDict(frozen=True)

    image: str
    image_id: str
    recipe: Recipe
    recipe_digest: str
    cached: bool
    build_s: float
