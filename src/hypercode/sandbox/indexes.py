"""The host's own package configuration (pip's files and variables), as far as a builder may have it."""

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hypercode.sandbox.profiles import Mount

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True)
class PackageSources:
    """Variables for pip, hosts that they name, folders to mount read-only, and what was left out."""

    env: dict[str, str] = field(default_factory=dict[str, str])
    hosts: list[str] = field(default_factory=list[str])
    mounts: list[Mount] = field(default_factory=list[Mount])
    notes: list[str] = field(default_factory=list[str])


def pip_options() -> dict[str, str]:
    """Return pip's effective options that name sources: files first, variables over them."""
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"))
    places = [
        Path(folder) / "pip/pip.conf" for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    ]
    places += [Path("/etc/pip.conf"), home / ".pip/pip.conf", config_home / "pip/pip.conf"]
    if "PIP_CONFIG_FILE" in os.environ:
        places.append(Path(os.environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser(strict=False)
    found: dict[str, str] = {}
    for place in places:
        try:
            parser.read(place)
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    wanted = ("index-url", "extra-index-url", "find-links", "constraint", "no-index")
    for option in wanted:
        value = os.environ.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            found[option] = value
    return {option: found[option] for option in wanted if found.get(option)}


def package_sources(options: dict[str, str]) -> PackageSources:
    """Return what of pip's options a builder gets: no credentials, local folders read-only."""
    sources = PackageSources()
    for option, text in options.items():
        kept: list[str] = []
        for value in text.split():
            usable = value if option == "no-index" else _usable(value, sources)
            if usable:
                kept.append(usable)
        if kept:
            sources.env["PIP_" + option.upper().replace("-", "_")] = " ".join(kept)
    return sources


def _usable(value: str, sources: PackageSources) -> str | None:
    parts = urlsplit(value)
    if parts.scheme in ("http", "https"):
        if parts.username or parts.password:
            sources.notes.append(
                f"the package index {parts.hostname} was left out: its address holds credentials"
            )
            return None
        if parts.scheme == "http":
            sources.notes.append(f"the package index {parts.hostname} was left out: it is not https")
            return None
        sources.hosts.append(str(parts.hostname))
        return value
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(value)
    if not path.is_absolute() or not path.exists():
        return None
    # Entries of an index may link to files beside it, so an index's parent is shown, but never a top folder.
    root = path.parent if parts.scheme == "file" and len(path.parts) > 2 and path.is_dir() else path
    if all(mount.source != str(root) for mount in sources.mounts):
        sources.mounts.append(Mount(str(root), str(root), True, "bind"))
    return value


def certificate_bundle() -> bytes | None:
    """Return the host's certificate bundle, so that a builder trusts what the host trusts."""
    named = [os.environ.get(name) for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")]
    for place in [*named, *_BUNDLES]:
        if place and Path(place).is_file():
            return Path(place).read_bytes()
    return None
