"""Field types that several resources share."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("a NUL character can't be stored")
    return value


Storable = AfterValidator(_storable)
"""Text that Postgres can hold."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Storable]
"""What a person calls something."""
