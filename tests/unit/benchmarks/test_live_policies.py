"""whisper_streaming's policy, as the benchmark of live sessions has it: LocalAgreement-2."""

from __future__ import annotations

from benchmarks.live_policies import AgreedWords
from transcription.core.transcript import Word


def spoken(text: str, start: float = 0.0) -> list[Word]:
    """Words of half a second each."""
    return [Word(f" {each}", start + i / 2, start + i / 2 + 0.5, 1.0) for i, each in enumerate(text.split())]


def texts(words: list[Word]) -> str:
    return "".join(word.text for word in words).strip()


def test_nothing_is_confirmed_by_one_hypothesis() -> None:
    agreed = AgreedWords()
    assert agreed.hear(spoken("ask not what")) == []
    assert texts(agreed.tentative) == "ask not what"


def test_two_hypotheses_confirm_what_both_begin_with() -> None:
    agreed = AgreedWords()
    agreed.hear(spoken("ask not what you"))
    assert texts(agreed.hear(spoken("ask not why your country"))) == "ask not"
    assert texts(agreed.tentative) == "why your country"


def test_case_and_punctuation_do_not_count() -> None:
    agreed = AgreedWords()
    agreed.hear(spoken("Ask not,"))
    assert texts(agreed.hear(spoken("ask not what"))) == "ask not"


def test_confirmed_words_are_not_confirmed_again() -> None:
    agreed = AgreedWords()
    for _ in range(3):
        agreed.hear(spoken("ask not what"))
    assert texts(agreed.confirmed) == "ask not what"


def test_words_heard_again_a_little_later_are_dropped() -> None:
    agreed = AgreedWords()
    for _ in range(2):
        agreed.hear(spoken("ask not what"))  # confirmed up to 1.5 s
    agreed.hear(spoken("not what your country", start=1.45))
    assert texts(agreed.tentative) == "your country"


def test_a_word_that_is_really_repeated_stays() -> None:
    agreed = AgreedWords()
    for _ in range(2):
        agreed.hear(spoken("very"))
    agreed.hear(spoken("very good", start=2.5))  # too late to be the same word
    assert texts(agreed.tentative) == "very good"
