"""A plan: what the Architect hands to Coders, a DAG of items."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PlanItem(BaseModel):
    """One piece of a plan: a goal for one Coder, the items it needs first, and the paths it claims."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    title: str = Field(min_length=1, max_length=200)
    goal: str = Field(min_length=1, max_length=20_000)
    depends_on: list[str] = Field(default_factory=list)
    paths: list[str] = Field(default_factory=list)


class Plan(BaseModel):
    """The items in an order that respects their dependencies; raises ValueError on cycles or unknown ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = Field(min_length=1, max_length=20_000)
    items: list[PlanItem] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _is_a_dag(self) -> "Plan":
        known: set[str] = set()
        for item in self.items:
            if item.id in known:
                raise ValueError(f"plan item {item.id!r} stands twice")
            unknown = [need for need in item.depends_on if need not in known]
            if unknown:
                raise ValueError(
                    f"plan item {item.id!r} depends on {unknown[0]!r}, which does not stand before it"
                )
            known.add(item.id)
        return self
