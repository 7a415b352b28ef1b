"""A person with an account."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from hypercode.domain.role import PersonRole


class User(BaseModel):
    """A person as the API shows them; never the password hash."""

    model_config = ConfigDict(frozen=True)

    id: str
    organisation_id: str
    email: str
    name: str
    role: PersonRole
    created_at: datetime
