"""The addresses of resources: what they name, and only in the one form that is handed out."""

import re
from dataclasses import dataclass

from hypercode.domain.errors import NotFound

PROC_LOG_TEMPLATE = "hc://run/{run_id}/proc/{proc_id}/log{?offset}"

_PROC_LOG = re.compile(r"hc://run/([A-Za-z0-9_-]{1,100})/proc/([0-9a-f]{32})/log(?:\?offset=([0-9]{1,15}))?")


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


def parse_uri(uri: str) -> ProcLog:
    """Read an address; raises NotFound for any other form."""
    found = _PROC_LOG.fullmatch(uri)
    if found is None:
        raise NotFound(
            "there is no such resource", hint="resource_list and the links in tool results name them."
        )
    return ProcLog(found[1], found[2], int(found[3] or 0))
