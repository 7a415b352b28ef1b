"""The addresses of resources: what they name, and only in the one form that is handed out."""

import re
from dataclasses import dataclass

from hypercode.domain.errors import NotFound

PROC_LOG_TEMPLATE = "hc://run/{run_id}/proc/{proc_id}/log{?offset}"
REPORT_TEMPLATE = "hc://run/{run_id}/report/{name}{?offset}"

_RUN = r"hc://run/([A-Za-z0-9_-]{1,100})"
_OFFSET = r"(?:\?offset=([0-9]{1,15}))?"
_PROC_LOG = re.compile(_RUN + r"/proc/([0-9a-f]{32})/log" + _OFFSET)
_REPORT = re.compile(_RUN + r"/report/([a-z][a-z.]{0,40})" + _OFFSET)


@dataclass(frozen=True)
class ProcLog:
    """The log of one process or command of a run, from ``offset`` on."""

    run_id: str
    proc_id: str
    offset: int = 0

    @property
    def uri(self) -> str:
        """The address of the whole log."""
        return f"hc://run/{self.run_id}/proc/{self.proc_id}/log"


@dataclass(frozen=True)
class ReportFile:
    """A file that the latest test_run of a run left in the report directory, from ``offset`` on."""

    run_id: str
    name: str
    offset: int = 0

    @property
    def uri(self) -> str:
        """The address of the whole file."""
        return f"hc://run/{self.run_id}/report/{self.name}"


def parse_uri(uri: str) -> ProcLog | ReportFile:
    """Read an address; raises NotFound for any other form."""
    for pattern, kind in ((_PROC_LOG, ProcLog), (_REPORT, ReportFile)):
        found = pattern.fullmatch(uri)
        if found is not None:
            return kind(found[1], found[2], int(found[3] or 0))
    raise NotFound("there is no such resource", hint="resource_list and the links in tool results name them.")
