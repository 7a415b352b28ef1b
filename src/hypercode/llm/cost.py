"""What a call cost, from the offline price table of genai-prices or from the settings' own prices."""

from dataclasses import dataclass
from typing import Protocol

from genai_prices import Usage, calc_price

from hypercode.settings import LlmSettings

MILLION = 1_000_000


class Tokens(Protocol):
    """Tokens of one call; ``input_tokens`` counts the cached ones too."""

    @property
    def input_tokens(self) -> int:
        """All tokens sent."""
        ...

    @property
    def output_tokens(self) -> int:
        """All tokens answered."""
        ...

    @property
    def cache_read_tokens(self) -> int:
        """Sent tokens that the provider had kept."""
        ...

    @property
    def cache_write_tokens(self) -> int:
        """Sent tokens that the provider keeps from now on."""
        ...


@dataclass(frozen=True)
class Counts:
    """Tokens of a call that was not made yet."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


def most_usd(
    provider: str, model: str, base_url: str | None, counts: Counts, settings: LlmSettings
) -> float | None:
    """Return the most that a call can cost: nothing sent was kept by the provider, all of it may be from now on."""
    plain = cost_usd(provider, model, base_url, counts, settings)
    kept = Counts(counts.input_tokens, counts.output_tokens, cache_write_tokens=counts.input_tokens)
    keeping = cost_usd(provider, model, base_url, kept, settings)
    return None if plain is None or keeping is None else max(plain, keeping)


def cost_usd(
    provider: str, model: str, base_url: str | None, tokens: Tokens, settings: LlmSettings
) -> float | None:
    """Return the price of a call in US dollars; None when nobody knows it. Prices in the settings come first."""
    if settings.input_price_per_million is not None and settings.output_price_per_million is not None:
        sent = tokens.input_tokens * settings.input_price_per_million
        return (sent + tokens.output_tokens * settings.output_price_per_million) / MILLION
    if provider == "ollama" and not model.endswith("-cloud"):
        return 0.0
    usage = Usage(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cache_read_tokens=tokens.cache_read_tokens,
        cache_write_tokens=tokens.cache_write_tokens,
    )
    try:
        if provider == "openai-compatible":
            return float(calc_price(usage, model, provider_api_url=base_url).total_price)
        return float(calc_price(usage, model, provider_id=provider).total_price)
    except LookupError:
        return None
