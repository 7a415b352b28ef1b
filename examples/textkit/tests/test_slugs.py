from textkit.slugs import slugify, unique_slug


def test_words_are_joined():
    assert slugify("Hello,  World!") == "hello-world"


def test_accents_are_dropped():
    assert slugify("Crème brûlée") == "creme-brulee"


def test_separator():
    assert slugify("one two", separator="_") == "one_two"


def test_cut_between_words():
    assert slugify("one two three", max_length=9) == "one-two"


def test_unique():
    assert unique_slug("One", {"one", "one-2"}) == "one-3"
