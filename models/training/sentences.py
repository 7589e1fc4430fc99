"""Sentence templates in four languages: all that the embedded checkpoint is trained to transcribe."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Grammar:
    """Patterns with {SLOT}s, and the words or phrases for each slot."""

    patterns: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]

    def sentence(self, rng: random.Random) -> str:
        """A random sentence in lower case, without punctuation."""
        return SLOT.sub(lambda slot: rng.choice(self.slots[slot[1]]), rng.choice(self.patterns))

    def words(self) -> set[str]:
        """All words that a sentence can contain."""
        fixed = {word for pattern in self.patterns for word in SLOT.sub(" ", pattern).split()}
        return fixed | {word for choices in self.slots.values() for choice in choices for word in choice.split()}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("/"))


ENGLISH = Grammar(
    slots={
        "N": _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
        ),
        "D": _words("monday tuesday wednesday thursday friday saturday sunday today tomorrow"),
        "M": _words("january february march april may june july august september october november december"),
        "P": _words("anna peter maria david laura thomas julia robert emma daniel doctor smith"),
        "O": _phrases(
            "the report / the invoice / the contract / the ticket / the phone / the car / the house / the door / "
            "the box / the table / the letter / the key"
        ),
        "L": _phrases(
            "london / paris / berlin / madrid / the office / the station / the airport / the market / the school / "
            "the hospital / the garden / the library"
        ),
        "C": _words("red blue green black white yellow old new small large"),
    },
    patterns=(
        "the meeting starts at {N} on {D}",
        "{P} will bring {O} to {L}",
        "please send {O} to {P} before {D}",
        "{P} and {P} are waiting at {L}",
        "the weather in {L} is cold on {D}",
        "we need {N} {C} boxes and {N} chairs",
        "call {P} at {N} {N} {N} {N}",
        "can you open {O} for {P}",
        "i left {O} at {L} on {D}",
        "there are {N} people in {L}",
        "{O} is {C}",
        "good morning {P} how are you",
        "thank you {P} see you on {D}",
        "the price is {N} dollars",
        "the train to {L} leaves on the {N} of {M}",
        "{N} {N} {N} {N}",
        "{P} needs {N} {C} boxes before {M}",
    ),
)

SPANISH = Grammar(
    slots={
        "N": _words(
            "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince veinte treinta "
            "cuarenta cincuenta"
        ),
        "D": _words("lunes martes miércoles jueves viernes sábado domingo hoy mañana"),
        "P": _words("ana pedro maría david laura tomás julia roberto elena daniel"),
        "O": _phrases(
            "el informe / la factura / el contrato / el billete / el teléfono / el coche / la casa / la puerta / "
            "la caja / la mesa / la carta / la llave"
        ),
        "L": _phrases(
            "londres / parís / berlín / madrid / la oficina / la estación / el aeropuerto / el mercado / la escuela / "
            "el hospital / el jardín"
        ),
        "C": _words("rojo azul verde negro blanco grande pequeño nuevo"),
    },
    patterns=(
        "la reunión empieza a las {N} el {D}",
        "{P} va a traer {O}",
        "por favor envía {O} a {P} antes del {D}",
        "{P} y {P} esperan en {L}",
        "hace frío en {L} el {D}",
        "necesitamos {N} sillas y {N} mesas",
        "llama a {P} al {N} {N} {N} {N}",
        "puedes abrir {O} para {P}",
        "hay {N} personas en {L}",
        "{O} es {C}",
        "buenos días {P} cómo estás",
        "muchas gracias {P} hasta el {D}",
        "{N} {N} {N} {N}",
    ),
)

GERMAN = Grammar(
    slots={
        "N": _words(
            "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig vierzig fünfzig "
            "hundert"
        ),
        "D": _words("montag dienstag mittwoch donnerstag freitag samstag sonntag heute morgen"),
        "P": _words("anna peter maria david laura thomas julia robert emma daniel"),
        "O": _phrases(
            "der bericht / die rechnung / der vertrag / die fahrkarte / das telefon / das auto / das haus / die tür / "
            "die kiste / der tisch / der brief / der schlüssel"
        ),
        "L": _phrases(
            "london / paris / berlin / madrid / im büro / am bahnhof / am flughafen / auf dem markt / in der schule / "
            "im krankenhaus / im garten"
        ),
        "C": _words("rot blau grün schwarz weiß groß klein neu"),
    },
    patterns=(
        "die besprechung beginnt um {N} uhr am {D}",
        "{P} und {P} warten {L}",
        "das wetter ist kalt am {D}",
        "wir brauchen {N} stühle und {N} tische",
        "bitte ruf {P} an unter {N} {N} {N} {N}",
        "es sind {N} leute {L}",
        "{O} ist {C}",
        "guten morgen {P} wie geht es dir",
        "vielen dank {P} bis {D}",
        "{P} kommt am {D}",
        "{N} {N} {N} {N}",
    ),
)

FRENCH = Grammar(
    slots={
        "N": _words(
            "zéro un deux trois quatre cinq six sept huit neuf dix onze douze vingt trente quarante cinquante cent"
        ),
        "D": _words("lundi mardi mercredi jeudi vendredi samedi dimanche demain"),
        "P": _words("anna pierre marie david laure thomas julie robert emma daniel"),
        "O": _phrases(
            "le rapport / la facture / le contrat / le billet / le téléphone / la voiture / la maison / la porte / "
            "la boîte / la table / la lettre / la clé"
        ),
        "L": _phrases(
            "londres / paris / berlin / madrid / le bureau / la gare / le marché / le jardin / la bibliothèque"
        ),
        "C": _words("rouge bleu vert noir blanc grand petit"),
    },
    patterns=(
        "la réunion commence à {N} heures {D}",
        "{P} et {P} attendent devant {L}",
        "il fait froid à paris {D}",
        "nous avons besoin de {N} chaises et {N} tables",
        "appelle {P} au {N} {N} {N} {N}",
        "il y a {N} personnes dans {L}",
        "{O} est {C}",
        "bonjour {P} comment ça va",
        "merci beaucoup {P} à {D}",
        "le prix est de {N} euros",
        "{N} {N} {N} {N}",
    ),
)

GRAMMARS = {"en": ENGLISH, "es": SPANISH, "de": GERMAN, "fr": FRENCH}
