import pytest

from textkit.tables import columns
from textkit.wrapping import indent, shorten, wrap


def test_wrap():
    assert wrap("the quick brown fox", 10) == ["the quick", "brown fox"]


def test_a_long_word_has_its_own_line():
    assert wrap("a incomprehensible b", 5) == ["a", "incomprehensible", "b"]


def test_the_width_is_positive():
    with pytest.raises(ValueError):
        wrap("text", 0)


def test_shorten():
    assert shorten("a longer sentence", 10) == "a longe..."


def test_short_text_stays():
    assert shorten("short", 5) == "short"


def test_indent_leaves_empty_lines():
    assert indent("a\n\nb", "  ") == "  a\n\n  b"


def test_columns_line_up():
    assert columns([("id", "name"), (10, "mug")]) == "id  name\n10  mug"
