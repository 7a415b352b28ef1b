"""On what channels processes wake each other, by NOTIFY or by Redis. What is said is a run's id and nothing else;
on RUN_DELTAS it is a piece of what a run's model is saying, which is kept nowhere."""

RUN_EVENTS = "run_events"
RUN_CONTROL = "run_control"
RUN_ENDED = "run_ended"
RUN_DECIDED = "run_decided"
RUN_QUEUED = "run_queued"
RUN_DELTAS = "run_deltas"
CHANNELS = (RUN_EVENTS, RUN_CONTROL, RUN_ENDED, RUN_DECIDED, RUN_QUEUED, RUN_DELTAS)


def redis_channel(channel: str) -> str:
    """Name the channel in a Redis, which others may use too."""
    return f"hypercode:{channel}"
