"""What a step was asked, as a few words with a digest, kept beside its result: a replay sees whether it asks the same.

What was asked is not kept itself: the messages of a model call are what the steps before it came to.
"""

from hashlib import sha256

from pydantic import BaseModel

from hypercode.agents.intent import CallModel


def digest_of(asked: BaseModel) -> str:
    """The same words for the same question."""
    if not isinstance(asked, CallModel):
        return f"sha256:{sha256(asked.model_dump_json().encode()).hexdigest()}"
    digest = sha256("\n".join(tool.name for tool in asked.tools).encode())
    characters = 0
    for message in asked.messages:
        characters += len(message.content)
        digest.update(message.model_dump_json().encode())
    return f"{len(asked.messages)} messages, {characters} characters, sha256:{digest.hexdigest()}"
