"""Counting words."""

import re
from collections import Counter

STOP_WORDS = frozenset({"a", "an", "and", "in", "of", "the", "to"})


def words(text):
    """The words of a text as written, apostrophes inside words kept."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text)


def word_counts(text, skip=STOP_WORDS):
    """How often each word occurs, whatever its case, without the words in `skip`."""
    counts = Counter()
    for word in words(text):
        if word.lower() not in skip:
            counts[word] += 1
    return counts


def top_words(text, limit=3):
    """The most frequent words, those of equal count in alphabetical order."""
    counts = word_counts(text)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[:limit]


def reading_minutes(text, words_per_minute=200):
    """Minutes to read a text, at least one for any text at all."""
    count = len(words(text))
    if count == 0:
        return 0
    return max(1, round(count / words_per_minute))
