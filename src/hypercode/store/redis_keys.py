"""Everything that is ever kept in Redis: each key with its lifetime. docs/reference/redis.md says the same.

Nothing here is the truth of anything: what Redis forgets is asked of Postgres again, or counted anew.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A pattern of keys; ``lifetime_s`` is what each is set to expire after, at the latest."""

    pattern: str
    lifetime_s: int

    def of(self, name: str) -> str:
        return self.pattern.replace("*", name)


SESSION = Key("hypercode:session:*", 30)
PROJECTS = Key("hypercode:projects:*", 30)
SIGN_INS = Key("hypercode:limit:sign_in:*", 300)
REQUESTS = Key("hypercode:limit:requests:*", 60)
KEYS = (SESSION, PROJECTS, SIGN_INS, REQUESTS)

# Longer than a request may take from its read in Postgres to its write in Redis.
CHANGED_S = 10
"""How long a mark lives that something just changed: until then the truth is asked, and nothing is kept."""
