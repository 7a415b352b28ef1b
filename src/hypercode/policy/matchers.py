"""What a rule may look at besides the tool: typed and closed, no expressions.

Each class is a part of the form that a policy is written in; ``policy.conditions_of`` turns them into conditions.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from hypercode.policy.globs import checked_glob, checked_host, checked_path_glob

Glob = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(checked_glob)]
PathGlob = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(checked_path_glob)]
Host = Annotated[str, AfterValidator(checked_host)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=300)]
SecretName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.*?-]{1,100}$"), AfterValidator(checked_glob)
]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
MOST = 200
"""Entries of one list."""


class Form(BaseModel):
    """Base of everything that is written in a policy: no unknown fields, no coercion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _says_something(form: Any) -> Any:
    if not form.model_fields_set:
        raise ValueError("it is empty: name at least one field")
    return form


class ArgvForm(Form):
    """The words of a command. All the fields that are given must hold."""

    program: tuple[Glob, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Globs of the program's name; any of them."
    )
    positional: tuple[Glob, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Globs of the first words after the program that are no flags, in this order.",
    )
    has_all: tuple[Word, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Words and flags that all are there."
    )
    has_any: tuple[Word, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Words and flags of which one is there."
    )
    has_none: tuple[Word, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Words and flags of which none is there."
    )

    _not_empty = model_validator(mode="after")(_says_something)


class ImageForm(Form):
    """The parts of an image's name. All the fields that are given must hold."""

    registry: Glob | None = Field(default=None, description="A glob, such as 'docker.io' or '*.example.org'.")
    name: Glob | None = Field(default=None, description="A glob, such as 'library/python'.")
    tag: Glob | None = Field(default=None, description="A glob, such as '3.*'; 'latest' when none is named.")
    digest: Digest | None = Field(default=None, description="Exactly this one.")
    pinned: bool | None = Field(default=None, description="Whether the image is named with a digest.")

    _not_empty = model_validator(mode="after")(_says_something)


class SizeForm(Form):
    """Bytes that the call writes, both ends included."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)

    _not_empty = model_validator(mode="after")(_says_something)

    @model_validator(mode="after")
    def _in_order(self) -> "SizeForm":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is more than max")
        return self


class Matchers(Form):
    """Every matcher that is given must match; of one matcher's entries, any."""

    paths: tuple[PathGlob, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Globs over paths relative to the workspace."
    )
    argv: tuple[ArgvForm, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Forms of a command."
    )
    image: tuple[ImageForm, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Forms of an image's name."
    )
    hosts: tuple[Host, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Host names, and '*.domain'."
    )
    ref: tuple[Glob, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Globs over a Git ref."
    )
    secrets: tuple[SecretName, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Globs over names of secrets."
    )
    size: SizeForm | None = Field(default=None, description="Bytes written.")
