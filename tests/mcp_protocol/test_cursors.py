"""Cursors: opaque, and good for the very call that they were given for."""

import pytest

from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.cursors import Cursors, Paged


class Listing(Paged):
    path: str = "."


class Other(Paged):
    path: str = "."


CURSORS = Cursors("a key")


def test_a_cursor_goes_on_where_it_says() -> None:
    args = Listing(path="a")
    assert CURSORS.opened("run", args) == ""
    cursor = CURSORS.sealed("run", args, "200")
    assert CURSORS.opened("run", Listing(path="a", cursor=cursor)) == "200"
    # The same wherever the key is the same.
    assert Cursors("a key").opened("run", Listing(path="a", cursor=cursor)) == "200"
    again = CURSORS.sealed("run", Listing(path="a", cursor=cursor), "400")
    assert CURSORS.opened("run", Listing(path="a", cursor=again)) == "400"


def test_a_tampered_or_foreign_cursor_is_refused() -> None:
    cursor = CURSORS.sealed("run", Listing(path="a"), "200")
    foreign = [
        (CURSORS, "other run", Listing(path="a", cursor=cursor)),
        (CURSORS, "run", Listing(path="b", cursor=cursor)),
        (CURSORS, "run", Other(path="a", cursor=cursor)),
        (Cursors("another key"), "run", Listing(path="a", cursor=cursor)),
    ]
    tampered = ["", "x", "é", "=", cursor[:-1], cursor + "A", cursor[1:], "A" * 200]
    tampered += [
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))
    ]
    foreign += [(CURSORS, "run", Listing(path="a", cursor=each)) for each in tampered]
    for cursors, run, args in foreign:
        with pytest.raises(InvalidArgument):
            cursors.opened(run, args)
