"""``builtin/repair``: a model without a model."""

from hypercode.llm.base import ModelReply, ModelRequest

BUILTIN_REPAIR = "builtin/repair"


class RepairModel:
    """Being written."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer from the history alone."""
        return ModelReply(text="Not there yet.", model=request.model, cost_usd=0.0)
