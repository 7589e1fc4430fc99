"""Splits text into pieces and rates the places between them as line breaks. Rules of writing only, no times."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from transcription.core.text import CLAUSE_ENDS, SENTENCE_ENDS


class Glue(IntEnum):
    """The strength of the bond between two pieces on one line. If they do not fit, the weakest bond is broken first."""

    NONE = 0
    NAME = 1  # New York
    FIRM = 2  # 10 km, Dr. Smith


class Ending(IntEnum):
    """The unit that ends with a piece. The best places for a break come first."""

    SENTENCE = 0
    CLAUSE = 1
    WORD = 2
    LEADING_WORD = 3  # an article or a preposition, which belongs to what follows


@dataclass(frozen=True, slots=True)
class Piece:
    """A word with its punctuation, or one character of a script without spaces.

    spaced: whether a space precedes it on the same line.
    """

    text: str
    spaced: bool


CLOSERS = "\"'”’»›)]}」』）】》〉"
BREAK_MARKS = (*CLAUSE_ENDS, "—", "–")

# Han, kana and their punctuation: a line may be broken between any two characters.
UNSPACED = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Except before NEVER_FIRST and after NEVER_LAST: the rules of Japanese and Chinese typesetting.
NEVER_FIRST = frozenset("。、，．！？；：」』）】》〉〕ー…々ゃゅょっぁぃぅぇぉャュョッァィゥェォ・")
NEVER_LAST = frozenset("「『（【《〈〔")

NUMBER = re.compile(r"[(+\-−±~≈]*\d[\d.,:/'’]*(?<![.,:])|[½¼¾]")
ORDINAL = re.compile(r"\d{1,2}\.")
INITIALS = re.compile(r"(?:[^\W\d_]\.)+(?:-(?:[^\W\d_]\.)+)*")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# English, German, French and Spanish, regardless of the transcript's language. Compared without case.
NUMBER_WORDS = _set(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half "
    "ein eine zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert tausend "
    "un une deux trois quatre cinq sept huit neuf dix onze douze vingt trente cent mille "
    "uno una dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta cien ciento mil"
)
UNITS = _set(
    "% ‰ ° °c °f k € $ £ ¥ usd eur gbp chf km m cm mm µm nm mi ft yd kg g mg µg t lb lbs oz l ml cl dl m² m³ km² ha "
    "km/h kmh mph m/s s ms min h hz khz mhz ghz w kw mw kwh ma kj kcal cal bar pa hpa db kb mb gb tb px dpi pm am "
    "a.m p.m percent per-cent degrees degree kilometers kilometres kilometer kilometre meters metres meter metre miles "
    "mile feet foot inches inch kilograms kilos kilo grams gram tons tonnes pounds pound ounces liters litres dollars "
    "dollar euros euro cents seconds second minutes minute hours hour days day weeks week months month years year "
    "o'clock hundred thousand million millions billion billions trillion watts watt volts volt gigabytes megabytes "
    "prozent grad kilometer meter zentimeter meilen kilogramm gramm tonnen liter sekunden sekunde minuten stunden "
    "stunde tage tag wochen woche monate monat jahre jahr uhr mio mrd millionen milliarden tsd "
    "pour-cent degrés kilomètres kilomètre mètres mètre grammes tonnes litres secondes minutes heures heure jours jour "
    "semaines mois ans années millions milliards "
    "kilómetros kilómetro metros metro gramos toneladas litros segundos minutos horas hora días día semanas meses años "
    "año millones grados euros "
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec januar februar märz mai juni juli oktober dezember "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre"
)
BEFORE_NUMBERS = _set("$ € £ ¥ usd eur gbp no. nr. nº n° № § §§ p. pp. s. fig. abb. art. vol. ca. approx.")
TITLES = _set(
    "mr mrs ms mx dr prof sr jr st sir lord lady dame capt captain gen lt col sgt maj rev hon pres president "
    "king queen saint herr frau hr fr dipl ing m mm mme mlle madame monsieur maître sra srta señor señora señorita don "
    "doña dra"
)
LEADING_WORDS = _set(
    "a an the of in on at to for from with by and or but as into about than "
    "der die das den dem des ein eine einen einem einer im am zu zum zur von vom mit bei für auf an und oder aber als "
    "le la les un une des du de à au aux en dans sur pour par avec et ou mais l' d' "
    "el los las uno unos unas del al por para con sin y o pero que"
)


def pieces(line: str) -> tuple[Piece, ...]:
    """The pieces of a line without surrounding space; `joined` gives the line back."""
    return tuple(
        Piece(text, spaced=number == 0 and position > 0)
        for position, word in enumerate(line.split())
        for number, text in enumerate(_characters(word))
    )


def joined(parts: Sequence[Piece]) -> str:
    """The pieces as one line."""
    return "".join(f" {part.text}" if part.spaced and number else part.text for number, part in enumerate(parts))


def width(text: str) -> int:
    """The number of characters. A full-width character counts as one, a combining mark as none."""
    return sum(unicodedata.category(character) not in ("Mn", "Me", "Cf") for character in text)


def _characters(word: str) -> list[str]:
    """The word as one item; in a script without spaces, split wherever a line may be broken."""
    if not UNSPACED.search(word):
        return [word]
    cut: list[str] = []
    for character in word:
        if cut and not _may_split(cut[-1], character):
            cut[-1] += character
        else:
            cut.append(character)
    return cut


def _may_split(before: str, character: str) -> bool:
    if character in NEVER_FIRST or before[-1] in NEVER_LAST or width(character) == 0:
        return False
    return bool(UNSPACED.match(character) or UNSPACED.search(before))


def ending(word: str, following: str | None) -> Ending:
    """The unit that ends with `word`. following: the next word, or None at the end of the text."""
    if following is None:
        return Ending.SENTENCE
    bare = word.rstrip(CLOSERS)
    if bare.endswith(SENTENCE_ENDS) and not _is_abbreviation(bare) and not following[:1].islower():
        return Ending.SENTENCE
    if bare.endswith((*BREAK_MARKS, *SENTENCE_ENDS)) and not _is_abbreviation(bare):
        return Ending.CLAUSE
    if word.casefold() in LEADING_WORDS:
        return Ending.LEADING_WORD
    return Ending.WORD


def glue(word: str, following: str) -> Glue:
    """The strength of the bond between a word and the next one."""
    if _is_number_with_unit(word, following) or _is_title(word, following):
        return Glue.FIRM
    if word[:1].isupper() and word[-1:].isalnum() and (following[:1].isupper() or NUMBER.match(following)):
        return Glue.NAME
    return Glue.NONE


def _is_number_with_unit(word: str, following: str) -> bool:
    bare = following.casefold().rstrip(CLOSERS + "".join(SENTENCE_ENDS + BREAK_MARKS))
    if NUMBER.fullmatch(word):
        return bare in UNITS or (len(bare) == 3 and bare.isdigit())  # 10 000
    if ORDINAL.fullmatch(word) or word.casefold() in NUMBER_WORDS:
        return bare in UNITS
    return word.casefold() in BEFORE_NUMBERS and bool(NUMBER.match(following))


def _is_title(word: str, following: str) -> bool:
    if not following[:1].isalpha():
        return False
    if INITIALS.fullmatch(word):
        return word[:1].isupper() and following[:1].isupper()
    if word.rstrip(".").casefold() not in TITLES:
        return False
    return word.endswith(".") or (word[:1].isupper() and following[:1].isupper())


def _is_abbreviation(word: str) -> bool:
    """Whether the full stop of `word` may be that of an abbreviation."""
    is_title = word.endswith(".") and word[:-1].casefold() in TITLES
    return is_title or bool(INITIALS.fullmatch(word)) or word.casefold() in BEFORE_NUMBERS
