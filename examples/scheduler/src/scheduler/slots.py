"""Free time between meetings."""

from __future__ import annotations

from .intervals import Interval, merged


def free_slots(day: Interval, busy: list[Interval], minimum: int = 15) -> list[Interval]:
    """What is left of a day, in pieces of at least `minimum` minutes."""
    free: list[Interval] = []
    position = day.start
    for meeting in merged(busy):
        if meeting.start - position >= minimum:
            free.append(Interval(position, min(meeting.start, day.end)))
        position = max(position, meeting.end)
    if day.end - position >= minimum:
        free.append(Interval(position, day.end))
    return free


def first_common_slot(day: Interval, people: list[list[Interval]], length: int) -> Interval | None:
    """The earliest time at which everybody is free for so long."""
    everything = [meeting for meetings in people for meeting in meetings]
    for slot in free_slots(day, everything, minimum=length):
        return Interval(slot.start, slot.start + length)
    return None
