"""Languages: a cheap guess, from the words that nobody writes without, or from the script.

A guess is made of single texts and means little for one; over a window its shares tell that Spanish came
where English was. Of a text in Latin script at least two frequent words must be found, and one language have
more of them than any other; else ``und``, as in BCP 47. Held on the first article of the Universal
Declaration of Human Rights by tests/text.
"""

from __future__ import annotations

import re
from typing import Final

UNDETERMINED: Final = "und"

#: The most frequent words of each, those that several share left in all of them.
_WORDS: Final = {
    "de": "der die und das ist nicht ein eine zu den mit sich auf"
    " für von dem im ich es auch als wie bei hat wird oder",
    "en": "the and of to is in that it for you with on are this be not have was at or as from by an we your",
    "es": "el la de que y los en un por con una para las del es se no su lo al más pero como está son",
    "fr": "le la les des et est un une du en que pour dans"
    " qui pas sur avec au plus ce ne il je vous sont nous",
    "it": "il di che la per un non sono con è una le del"
    " della si in da al come più anche gli nel questo ma alla",
    "nl": "de het een en van is in dat op te zijn niet"
    " voor met die er aan ook als bij maar om naar wordt heeft",
    "pl": "w i na nie się z do to jest że o jak za od po przez oraz są dla tym co ale może ich czy",
    "pt": "o a de que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele",
    "sv": "och att det som en är på av för med inte den till har jag om ett de vi så var kan från men eller",
    "tr": "ve bir bu da de için ile çok ne var gibi daha olarak olan kadar ama sonra her mi değil en ben o",
}
_LANGUAGES_OF: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(language for language, words in _WORDS.items() if word in words.split())
    for words in _WORDS.values()
    for word in words.split()
}
#: Where the script leaves one language, or nearly so.
_BY_SCRIPT: Final = {
    "greek": "el", "hebrew": "he", "arabic": "ar", "devanagari": "hi", "thai": "th", "hangul": "ko",
    "kana": "ja", "han": "zh",
}  # fmt: skip
_UKRAINIAN: Final = re.compile("[іїєґІЇЄҐ]")
_RUSSIAN: Final = re.compile("[ыэъёЫЭЪЁ]")
_PERSIAN: Final = re.compile("[پچژگ]")

LANGUAGES: Final = tuple(sorted({*_WORDS, *_BY_SCRIPT.values(), "ru", "uk", "fa", UNDETERMINED}))

_WORD: Final = re.compile(r"[^\W\d_]+")
#: Words that are looked at: frequent ones come early.
_FIRST: Final = 60


def guess(text: str, script: str) -> str:
    """The language of *text*, whose letters are mostly of *script*; 6 µs of 20 words.

    >>> guess("Das ist nicht der Grund, und es wird auch keiner.", "latin"), guess("OK 42", "latin")
    ('de', 'und')
    """
    if script == "latin":
        return _by_words(text)
    if script == "cyrillic":
        if _UKRAINIAN.search(text):
            return "uk"
        return "ru" if _RUSSIAN.search(text) else UNDETERMINED
    if script == "arabic" and _PERSIAN.search(text):
        return "fa"
    return _BY_SCRIPT.get(script, UNDETERMINED)


def _by_words(text: str) -> str:
    votes: dict[str, int] = {}
    for word in _WORD.findall(text.lower())[:_FIRST]:
        for language in _LANGUAGES_OF.get(word, ()):
            votes[language] = votes.get(language, 0) + 1
    if not votes:
        return UNDETERMINED
    ranked = sorted(votes.items(), key=lambda vote: -vote[1])
    if ranked[0][1] < 2 or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return UNDETERMINED
    return ranked[0][0]
