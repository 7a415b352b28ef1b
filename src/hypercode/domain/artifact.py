"""An artifact: a stored output of a run, named by the hash of its bytes."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class ArtifactKind(StrEnum):
    """What an artifact is."""

    DIFF = "diff"
    ATTESTATION = "attestation"
    REPORT = "report"
    LOG = "log"


class Artifact(BaseModel):
    """Where a stored output is found; ``size`` in bytes."""

    model_config = ConfigDict(frozen=True)

    id: str
    run_id: str
    kind: ArtifactKind
    name: str
    sha256: str
    size: int
    media_type: str
    created_at: datetime
