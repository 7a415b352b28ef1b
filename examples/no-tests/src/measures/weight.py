"""Weights in grams."""

GRAMS = {"mg": 0.001, "g": 1.0, "kg": 1000.0, "oz": 28.349523125, "lb": 453.59237}


def convert(value, unit, to):
    return value * GRAMS[unit] / GRAMS[to]
