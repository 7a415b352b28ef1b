"""Stock levels, prices and reorders of a small shop."""
