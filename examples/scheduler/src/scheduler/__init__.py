"""Meetings, free slots and recurring dates."""
