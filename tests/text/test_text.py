"""Texts: what they are made of, counted by hand; languages of a text that everybody has; tallies that merge."""

from __future__ import annotations

import math
import unicodedata
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.statistics import jensen_shannon_distance
from exporter.text import LANGUAGES, SCRIPTS, TextTally, text_features
from exporter.text.features import CHARACTERS
from exporter.text.scripts import CLASSES

# Article 1 of the Universal Declaration of Human Rights (United Nations; free to reproduce), one language each.
DECLARATION = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete och bör handla gentemot varandra i en anda av broderskap.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "fa": "تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند. همه دارای عقل و وجدان هستند و باید نسبت به یکدیگر با روح برادری رفتار کنند.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由,在尊严和权利上一律平等。",
}


def test_the_language_of_the_universal_declaration_is_told() -> None:
    found = text_features(list(DECLARATION.values()))
    assert dict(zip(DECLARATION, found.language, strict=True)) == {
        language: language for language in DECLARATION
    }
    assert set(DECLARATION) | {"und"} == set(LANGUAGES)


def test_scripts_are_told() -> None:
    found = text_features(
        [DECLARATION[key] for key in ("en", "el", "ru", "he", "ar", "hi", "th", "ko", "ja", "zh")]
    )
    assert found.script == [
        "latin", "greek", "cyrillic", "hebrew", "arabic", "devanagari", "thai", "hangul", "kana", "han",
    ]  # fmt: skip
    odd = text_features(["12 + 3", "", "Ⰰⰱⰲ", "ＡＢＣ"])
    assert odd.script == ["none", "none", "other", "latin"]


def test_what_is_too_short_or_says_nothing_has_no_language() -> None:
    assert text_features(["OK", "ERR_42", "", "12.5", "Москва", "Ⰰ", "the"]).language == ["und"] * 7


def test_one_text_is_counted_by_hand() -> None:
    # 21 characters: letters Price (5) é (1) of (2) it (2) EUR (3); digits 42; five spaces; "," ":" "!".
    found = text_features(["Price é of it, 42:EUR!"])
    assert found.length.tolist() == [22.0]
    assert found.characters.tolist() == [[13, 2, 3, 4, 0]]
    assert found.tokens.tolist() == [6.0]
    assert found.ascii[0] == pytest.approx(21 / 22)
    shares = {
        name: column[0] * 22
        for name, column in found.numbers.items()
        if name not in ("length", "tokens", "ascii")
    }
    assert shares == pytest.approx({"letters": 13, "digits": 2, "punctuation": 3, "whitespace": 4})


def test_tokens_of_scripts_without_spaces_are_their_characters() -> None:
    assert text_features(["東京タワー2020年", "don't stop", "a1b2 c3", "한국어 텍스트"]).tokens.tolist() == [
        7.0,
        3.0,
        2.0,
        2.0,
    ]


def test_tokens_do_not_run_from_one_text_into_the_next() -> None:
    assert text_features(["ab", "cd", "", "ef"]).tokens.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_an_empty_text_has_a_length_and_no_shares() -> None:
    found = text_features([""])
    assert (found.length[0], found.tokens[0]) == (0.0, 0.0)
    assert all(
        math.isnan(found.numbers[name][0])
        for name in ("ascii", "letters", "digits", "punctuation", "whitespace")
    )
    nothing = text_features([])
    assert all(column.shape == (0,) for column in nothing.numbers.values())
    assert nothing.characters.shape == (0, len(CLASSES))


texts = st.lists(st.text(max_size=40), max_size=12)


@given(st.lists(st.text(st.characters(), max_size=40), max_size=12))
def test_classes_are_those_of_unicode(entries: list[str]) -> None:
    found = text_features(entries)
    for row, text in zip(found.characters.tolist(), entries, strict=True):
        category = [unicodedata.category(c)[0] for c in text]
        space = sum(c.isspace() for c in text)
        expected = [
            sum(c in "LM" for c in category),
            sum(c == "N" for c in category),
            sum(c in "PS" for c in category),
            space + sum(c == "Z" and not t.isspace() for c, t in zip(category, text, strict=True)),
        ]
        assert row == [*expected, len(text) - sum(expected)]
    assert set(found.script) <= set(SCRIPTS)
    assert set(found.language) <= set(LANGUAGES)


@settings(max_examples=30, deadline=None)
@given(texts)
def test_a_batch_is_what_its_texts_are_one_by_one(entries: list[str]) -> None:
    together, alone = text_features(entries), [text_features([text]) for text in entries]
    for name, column in together.numbers.items():
        np.testing.assert_array_equal(column, [one.numbers[name][0] for one in alone])
    for name, names in together.categories.items():
        assert names == [one.categories[name][0] for one in alone]


def test_large_batches_are_read_in_parts() -> None:
    entries = [f"{'the end of it is near ' * 50}{at}" for at in range(500)]
    found = text_features(entries)
    assert found.length.tolist() == [float(len(text)) for text in entries]
    assert found.language == ["en"] * 500
    assert found.characters.sum() == sum(map(len, entries))


def test_of_a_long_text_the_beginning_is_read() -> None:
    found = text_features(["a" * CHARACTERS + "1" * 10**6])
    assert found.length[0] == CHARACTERS + 10**6
    assert (found.letters[0], found.digits[0]) == (1.0, 0.0)


def test_lone_surrogates_and_private_characters_are_read() -> None:
    found = text_features(["\ud800a", "\U0010ffff\x00", "😀"])
    assert found.characters.tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 0, 2], [0, 0, 1, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(entries=texts, cuts=st.lists(st.integers(0, 12), max_size=4), order=st.randoms())
def test_any_order_and_split_gives_the_same_tally(entries: list[str], cuts: list[int], order: Any) -> None:
    whole, merged = TextTally(), TextTally()
    whole.update(text_features(entries))
    shuffled = list(entries)
    order.shuffle(shuffled)
    for low, high in pairwise([0, *sorted(min(cut, len(entries)) for cut in cuts), len(entries)]):
        part = TextTally()
        part.update(text_features(shuffled[low:high]))
        merged.merge(TextTally.from_bytes(part.to_bytes()))
    assert merged.to_bytes() == whole.to_bytes()
    assert whole.texts == sum(whole.scripts().values()) == sum(whole.languages().values()) == len(entries)
    assert whole.characters == sum(map(len, entries))
    assert len(whole.to_bytes()) == 332


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"T1",
        b"XX" + TextTally().to_bytes()[2:],
        TextTally().to_bytes()[:-1],
        TextTally().to_bytes()[:-1] + b"\x80",
    ],
)
def test_damaged_bytes_are_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match=r"^text tally: "):
        TextTally.from_bytes(damage)


def test_a_tally_holds_no_text() -> None:
    tally = TextTally()
    before = tally.nbytes
    for at in range(50):
        tally.update(text_features([f"secret {at}-{n}" for n in range(100)]))
    assert tally.nbytes == before < 1000
    assert b"secret" not in tally.to_bytes()
    assert tally.mix()["digits"] > 0.1
    assert TextTally().mix() == {}


def test_spanish_in_place_of_english_moves_the_mix_of_languages_and_not_the_length() -> None:
    rng = np.random.default_rng(1)

    def lines(language: str, n: int) -> TextTally:
        tally = TextTally()
        words = DECLARATION[language].split()
        tally.update(
            text_features([" ".join(words[at : at + 12]) for at in rng.integers(0, len(words) - 12, n)])
        )
        return tally

    english, again, spanish = lines("en", 500), lines("en", 500), lines("es", 500)
    assert jensen_shannon_distance(english.language_counts, again.language_counts) < 0.1
    assert jensen_shannon_distance(english.language_counts, spanish.language_counts) > 0.6
    assert spanish.characters == pytest.approx(english.characters, rel=0.15)
