"""Small functions for plain text."""
