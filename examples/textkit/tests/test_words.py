from textkit.words import reading_minutes, top_words, word_counts, words


def test_apostrophes_stay_in_words():
    assert words("Don't panic, it's 1 towel") == ["Don't", "panic", "it's", "towel"]


def test_stop_words_are_skipped():
    assert "the" not in word_counts("The cat and the dog")


def test_own_stop_words():
    assert word_counts("cat dog", skip={"cat"}) == {"dog": 1}


def test_counting_ignores_case():
    assert word_counts("Rose is a rose is a ROSE")["rose"] == 3


def test_top_words():
    assert top_words("b b c c a", limit=2) == ["b", "c"]


def test_no_text_takes_no_time():
    assert reading_minutes("") == 0


def test_a_short_text_takes_a_minute():
    assert reading_minutes("a few words") == 1
