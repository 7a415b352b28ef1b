"""Conversions between units of length and weight."""
