"""Scripts: to which script and class a character belongs, by ranges of code points.

Classes are those of Unicode (letters L*, M*; digits N*; punctuation P*, S*; white space Z* and its controls).
ASCII is looked up; other code points are asked of `unicodedata` once each and remembered, at most 65,536 of
them.
"""

from __future__ import annotations

import unicodedata
from typing import Any, Final, TypeAlias

import numpy as np

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Codes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint32]]"

LETTER, DIGIT, PUNCTUATION, SPACE, OTHER = range(5)
CLASSES: Final = ("letters", "digits", "punctuation", "whitespace", "other")

SCRIPTS: Final = (
    "none", "latin", "greek", "cyrillic", "hebrew", "arabic", "devanagari", "thai", "hangul", "kana", "han",
    "other",
)  # fmt: skip
"""``none``: no letter at all; ``other``: letters of a script that is not in this list."""

#: First code point of each range, and its script; letters alone are asked for.
_RANGES: Final = (
    (0x0000, "latin"), (0x0250, "other"), (0x0370, "greek"), (0x0400, "cyrillic"), (0x0530, "other"),
    (0x0590, "hebrew"), (0x0600, "arabic"), (0x0700, "other"), (0x0750, "arabic"), (0x0780, "other"),
    (0x08A0, "arabic"), (0x0900, "devanagari"), (0x0980, "other"), (0x0E00, "thai"), (0x0E80, "other"),
    (0x1100, "hangul"), (0x1200, "other"), (0x1C80, "cyrillic"), (0x1C90, "other"), (0x1D00, "latin"),
    (0x1D80, "other"), (0x1E00, "latin"), (0x1F00, "greek"), (0x2000, "other"), (0x2C60, "latin"),
    (0x2C80, "other"), (0x2DE0, "cyrillic"), (0x2E00, "other"), (0x2E80, "han"), (0x3040, "kana"),
    (0x3100, "other"), (0x3130, "hangul"), (0x3190, "other"), (0x31F0, "kana"), (0x3200, "other"),
    (0x3400, "han"), (0xA000, "other"), (0xA640, "cyrillic"), (0xA6A0, "other"), (0xA720, "latin"),
    (0xA800, "other"), (0xA8E0, "devanagari"), (0xA900, "other"), (0xAC00, "hangul"), (0xD800, "other"),
    (0xF900, "han"), (0xFB00, "latin"), (0xFB13, "other"), (0xFB1D, "hebrew"), (0xFB50, "arabic"),
    (0xFE00, "other"), (0xFE70, "arabic"), (0xFF00, "latin"), (0xFF66, "kana"), (0xFFA0, "hangul"),
    (0xFFE0, "other"), (0x1B000, "kana"), (0x1B170, "other"), (0x20000, "han"), (0x32000, "other"),
)  # fmt: skip
_STARTS: Final = np.array([start for start, _ in _RANGES], dtype=np.uint32)
_SCRIPT_OF: Final = np.array([SCRIPTS.index(script) for _, script in _RANGES], dtype=np.uint8)

#: Scripts without spaces between words: each of their characters counts as one token.
UNSPACED: Final = np.array([script in ("thai", "kana", "han") for script in SCRIPTS])

_BY_CATEGORY: Final = {"L": LETTER, "M": LETTER, "N": DIGIT, "P": PUNCTUATION, "S": PUNCTUATION, "Z": SPACE}
_MOST: Final = 65_536


def _class_of(code: int) -> int:
    character = chr(code)
    if character.isspace():  # tab and line ends are controls by category
        return SPACE
    return _BY_CATEGORY.get(unicodedata.category(character)[0], OTHER)


_ASCII: Final = np.array([_class_of(code) for code in range(128)], dtype=np.uint8)
_known: dict[int, int] = {}


def classes_of(codes: Codes) -> Bytes:
    """The class of each code point, uint8, shape (n,). 3 ns each of ASCII, 50 ns of others once known.

    >>> [CLASSES[c] for c in classes_of(np.array([ord(c) for c in "a1, é"], dtype=np.uint32))]
    ['letters', 'digits', 'punctuation', 'whitespace', 'letters']
    """
    found = _ASCII.take(codes, mode="clip")
    beyond = np.flatnonzero(codes > 127)
    if beyond.size:
        different, at = np.unique(codes[beyond], return_inverse=True)
        found[beyond] = np.array([_remembered(code) for code in different.tolist()], dtype=np.uint8)[at]
    return found


def _remembered(code: int) -> int:
    found = _known.get(code)
    if found is None:
        found = _class_of(code)
        if len(_known) < _MOST:
            _known[code] = found
    return found


def scripts_of(codes: Codes) -> Bytes:
    """The number in `SCRIPTS` of the script of each letter, uint8, shape (n,)."""
    return _SCRIPT_OF[np.searchsorted(_STARTS, codes, side="right") - 1]
