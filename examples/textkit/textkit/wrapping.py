"""Fitting text into a width."""


def wrap(text, width):
    """Lines of at most `width` characters; a longer word has a line to itself."""
    if width < 1:
        raise ValueError("the width must be at least 1")
    lines = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if len(longer) <= width or not line:
            line = longer
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines


def shorten(text, width, mark="..."):
    """The text cut to a width, with a mark at the end when something is gone."""
    if len(text) <= width:
        return text
    return text[: width - len(mark)].rstrip() + mark


def indent(text, prefix):
    """The prefix before every line that is not empty."""
    return "\n".join(prefix + line if line.strip() else line for line in text.split("\n"))
