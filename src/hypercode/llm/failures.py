"""What went wrong with a provider, in words that tell a person what to do. Never with the key in them."""

from dataclasses import dataclass, field

from hypercode.domain.errors import ModelFailed

SHOWN = 600


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked for: provider, model name, base URL, and the key with the variable it came from."""

    provider: str
    name: str
    base_url: str
    key_variable: str
    key: str = field(default="", repr=False)

    def scrub(self, text: str) -> str:
        """The text, shortened, with the key blotted out: some servers send it back in their errors."""
        clean = text.replace(self.key, "[key]") if len(self.key) > 3 else text
        return clean[:SHOWN]

    def key_refused(self, detail: str) -> ModelFailed:
        """The key is missing, wrong, or not allowed to use this model."""
        return ModelFailed(
            f"{self.provider} refused the API key for {self.name}: {self.scrub(detail)}",
            hint=f"Check {self.key_variable} (or HYPERCODE_LLM__API_KEY), and that the key may use this model.",
        )

    def no_key(self) -> ModelFailed:
        """No key is configured."""
        return ModelFailed(
            f"No API key for {self.provider} is set.",
            hint=f"Set {self.key_variable} (or HYPERCODE_LLM__API_KEY) for the worker.",
        )

    def rate_limited(self, detail: str, retry_after_s: float | None) -> ModelFailed:
        """Too many requests for now."""
        when = f" It asks to wait {retry_after_s:g} s." if retry_after_s is not None else ""
        return ModelFailed(
            f"{self.provider} limits how often {self.name} may be asked.{when} {self.scrub(detail)}".rstrip(),
            hint="Wait, run fewer tasks at once, or raise the limit with the provider.",
            transient=True,
            retry_after_s=retry_after_s,
        )

    def quota_used_up(self, detail: str) -> ModelFailed:
        """The account has no credit left."""
        return ModelFailed(
            f"The {self.provider} account has no quota left: {self.scrub(detail)}",
            hint="Check plan and billing with the provider, or name another model.",
        )

    def busy(self, detail: str, retry_after_s: float | None) -> ModelFailed:
        """The provider is overloaded or fails by itself."""
        return ModelFailed(
            f"{self.provider} failed to answer for {self.name}: {self.scrub(detail)}",
            hint="This is the provider's side; trying again later usually helps.",
            transient=True,
            retry_after_s=retry_after_s,
        )

    def not_reached(self, detail: str) -> ModelFailed:
        """Nobody listens at the base URL."""
        start = " Is Ollama running (`ollama serve`)?" if self.provider == "ollama" else ""
        return ModelFailed(
            f"No connection to {self.base_url} for {self.name}: {self.scrub(detail)}",
            hint=f"Check that {self.base_url} is right and reachable from the worker "
            f"(HYPERCODE_LLM__BASE_URL changes it).{start}",
            transient=True,
        )

    def too_slow(self, seconds: float) -> ModelFailed:
        """No answer within the limit."""
        return ModelFailed(
            f"{self.name} at {self.base_url} did not answer within {seconds:g} s.",
            hint="Raise HYPERCODE_LLM__TIMEOUT_S, or name a faster model.",
            transient=True,
        )

    def no_such_model(self, detail: str) -> ModelFailed:
        """The provider knows no model of this name, or the base URL is wrong."""
        pull = f" `ollama pull {self.name}` fetches it." if self.provider == "ollama" else ""
        return ModelFailed(
            f"{self.provider} has no model {self.name!r} at {self.base_url}: {self.scrub(detail)}",
            hint=f"Check the model's name and the base URL.{pull}",
        )

    def too_long(self, detail: str) -> ModelFailed:
        """The history does not fit into the model."""
        return ModelFailed(
            f"The run's history no longer fits into {self.name}: {self.scrub(detail)}",
            hint="Name a model with a larger context, or split the task.",
        )

    def rejected(self, detail: str) -> ModelFailed:
        """The provider takes no offence at us, but not the request either."""
        return ModelFailed(
            f"{self.provider} rejected the request for {self.name}: {self.scrub(detail)}",
            hint="The model may lack tool calls, or the provider one of the options sent.",
        )

    def unusable(self, detail: str) -> ModelFailed:
        """An answer came that is none."""
        return ModelFailed(
            f"{self.base_url} sent an answer for {self.name} that can't be used: {self.scrub(detail)}",
            hint="Check that the base URL speaks the provider's API (an OpenAI-compatible one often ends in /v1).",
            transient=True,
        )
