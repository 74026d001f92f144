"""Text: what a text becomes, because no text is kept: small numbers, a script, a guess of its language.

`text_features` gives columns for the machinery that every numeric and categorical column has; `TextTally`
adds up how many characters of which class and texts of which script and language were seen.
"""

from __future__ import annotations

from exporter.text.features import Texts, text_features
from exporter.text.languages import LANGUAGES, UNDETERMINED
from exporter.text.scripts import SCRIPTS
from exporter.text.tally import TextTally

__all__ = ["LANGUAGES", "SCRIPTS", "UNDETERMINED", "TextTally", "Texts", "text_features"]
