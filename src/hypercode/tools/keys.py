"""The keys that the tools process knows, read from files that only its user can read."""

from dataclasses import dataclass, field
from pathlib import Path

from hypercode.domain.errors import Unavailable
from hypercode.policy.grants import is_public_key


@dataclass(frozen=True)
class PlatformKeys:
    """Keys of the callers of /platform and to sandboxd, the public half of the mint key, and what opens secrets."""

    platform: str = field(repr=False)
    verifier: str = field(repr=False)
    sandboxd: str = field(repr=False)
    grant_public_hex: str
    preview: str = field(default="", repr=False)
    """The gateway's, for previews alone; without it there are none."""
    secrets_private_hex: str = field(default="", repr=False)
    """Without it no secret can be opened."""

    @classmethod
    def read(cls, directory: Path) -> "PlatformKeys":
        """Read the keys; raises Unavailable naming the file that is missing."""
        return cls(
            platform=_key(directory / "platform.key"),
            verifier=_key(directory / "verifier.key"),
            sandboxd=_key(directory / "sandboxd.key"),
            grant_public_hex=_public_key(directory / "grant.pub"),
            preview=_key(directory / "preview.key"),
            secrets_private_hex=_key(directory / "secrets.key"),
        )


def _public_key(path: Path) -> str:
    """Without a key to check grants with, this process must not start."""
    key = _key(path)
    if not is_public_key(key):
        raise Unavailable(f"the key {path.name} is no public key", hint="The supervisor makes it anew.")
    return key


def _key(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unavailable(
            f"the key {path.name} can't be read",
            hint="The supervisor makes it before it starts this process.",
        ) from error
    if not key:
        raise Unavailable(f"the key {path.name} is empty")
    return key
