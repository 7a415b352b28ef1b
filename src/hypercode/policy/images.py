"""The parts of a container image's name, as Docker reads them."""

import re
from dataclasses import dataclass

_IMAGE = re.compile(
    r"(?P<path>[a-z0-9][a-z0-9._:/-]*?)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_ID = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class ImageName:
    """``registry/name:tag@digest``; an image that is named by its id alone has a digest only."""

    registry: str
    name: str
    tag: str
    digest: str


def read_image(text: str) -> ImageName | None:
    """Read an image's name with Docker's defaults filled in; None when it is not one."""
    if _ID.fullmatch(text):
        return ImageName("", "", "", text)
    found = _IMAGE.fullmatch(text)
    if found is None:
        return None
    first, slash, rest = found["path"].partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, name = first, rest
    else:
        registry, name = "docker.io", found["path"] if slash else f"library/{first}"
    if not all(re.fullmatch(r"[a-z0-9]+([._-]+[a-z0-9]+)*", part) for part in name.split("/")):
        return None
    digest = found["digest"] or ""
    return ImageName(registry, name, found["tag"] or ("" if digest else "latest"), digest)
