"""Names for files and addresses."""

import re
import unicodedata


def slugify(text, separator="-", max_length=0):
    """Lower case ASCII words joined by a separator, cut between words."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z0-9]+", plain.lower())
    slug = separator.join(words)
    while max_length and len(slug) > max_length and len(words) > 1:
        words.pop()
        slug = separator.join(words)
    return slug[:max_length] if max_length else slug


def unique_slug(text, taken):
    """A slug that is not in `taken`: a number is put behind it when needed."""
    slug = slugify(text)
    number = 2
    candidate = slug
    while candidate in taken:
        candidate = f"{slug}-{number}"
        number += 1
    return candidate
