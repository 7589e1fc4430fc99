"""The languages that Whisper supports: codes, English names and aliases, and tags such as en-US or zh-Hant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from transcription.core.errors import InvalidParameter

# Whisper's codes: ISO 639-1 if there is one, except "jw" for Javanese; "haw" and "yue" have three letters.
LANGUAGES: Mapping[str, str] = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "as": "Assamese",
    "az": "Azerbaijani",
    "ba": "Bashkir",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "bo": "Tibetan",
    "br": "Breton",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fo": "Faroese",
    "fr": "French",
    "gl": "Galician",
    "gu": "Gujarati",
    "ha": "Hausa",
    "haw": "Hawaiian",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "ht": "Haitian Creole",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "jw": "Javanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "la": "Latin",
    "lb": "Luxembourgish",
    "ln": "Lingala",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mg": "Malagasy",
    "mi": "Maori",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "mt": "Maltese",
    "my": "Myanmar",
    "ne": "Nepali",
    "nl": "Dutch",
    "nn": "Nynorsk",
    "no": "Norwegian",
    "oc": "Occitan",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sa": "Sanskrit",
    "sd": "Sindhi",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sn": "Shona",
    "so": "Somali",
    "sq": "Albanian",
    "sr": "Serbian",
    "su": "Sundanese",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "tg": "Tajik",
    "th": "Thai",
    "tk": "Turkmen",
    "tl": "Tagalog",
    "tr": "Turkish",
    "tt": "Tatar",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "yi": "Yiddish",
    "yo": "Yoruba",
    "yue": "Cantonese",
    "zh": "Chinese",
}
ALIASES: Mapping[str, str] = {
    "burmese": "my",
    "castilian": "es",
    "flemish": "nl",
    "haitian": "ht",
    "jv": "jw",  # the ISO code, which Whisper does not use
    "letzeburgesch": "lb",
    "mandarin": "zh",
    "moldavian": "ro",
    "moldovan": "ro",
    "panjabi": "pa",
    "pushto": "ps",
    "sinhalese": "si",
    "valencian": "ca",
}
# Subtags of BCP 47 that mean a language of Whisper under another code: three-letter codes of ISO 639-2 and 639-3, codes
# of members of a macrolanguage, and codes that ISO has withdrawn.
_SUBTAGS: Mapping[str, str] = dict(
    re.findall(
        "([a-z]+):([a-z]+)",
        """
        afr:af amh:am ara:ar arb:ar asm:as aze:az azj:az bak:ba bel:be bul:bg ben:bn bod:bo tib:bo bre:br bos:bs cat:ca
        ces:cs cze:cs cym:cy wel:cy dan:da deu:de ger:de ell:el gre:el eng:en spa:es est:et ekk:et eus:eu baq:eu fas:fa
        per:fa pes:fa fin:fi fao:fo fra:fr fre:fr glg:gl guj:gu hau:ha heb:he hin:hi hrv:hr hat:ht hun:hu hye:hy arm:hy
        ind:id isl:is ice:is ita:it jpn:ja jav:jw jv:jw kat:ka geo:ka kaz:kk khm:km kan:kn kor:ko lat:la ltz:lb lin:ln
        lao:lo lit:lt lav:lv lvs:lv mlg:mg plt:mg mri:mi mao:mi mkd:mk mac:mk mal:ml mon:mn khk:mn mar:mr msa:ms may:ms
        zsm:ms mlt:mt mya:my bur:my nep:ne npi:ne nld:nl dut:nl nno:nn nor:no nob:no nb:no oci:oc pan:pa pol:pl pus:ps
        pbu:ps por:pt ron:ro rum:ro mo:ro mol:ro rus:ru san:sa snd:sd sin:si slk:sk slo:sk slv:sl sna:sn som:so sqi:sq
        alb:sq als:sq srp:sr sun:su swe:sv swa:sw swh:sw tam:ta tel:te tgk:tg tha:th tuk:tk tgl:tl fil:tl tur:tr tat:tt
        ukr:uk urd:ur uzb:uz uzn:uz vie:vi yid:yi ydd:yi ji:yi yor:yo zho:zh chi:zh cmn:zh iw:he in:id
        """,
    )
)
_CODES: Mapping[str, str] = {
    **{code: code for code in LANGUAGES},
    **{name.lower(): code for code, name in LANGUAGES.items()},
    **ALIASES,
    **_SUBTAGS,
}


class Script(StrEnum):
    """A script that Chinese is written in, by its code of ISO 15924."""

    SIMPLIFIED = "Hans"
    TRADITIONAL = "Hant"


CHINESE = frozenset({"yue", "zh"})
# By subtags of BCP 47: a script, or a region, with the script that is usual there.
_SCRIPTS: Mapping[str, Script] = {
    **dict.fromkeys(("hans", "cn", "sg"), Script.SIMPLIFIED),
    **dict.fromkeys(("hant", "hk", "mo", "tw"), Script.TRADITIONAL),
}
UNDETERMINED = "und"  # ISO 639-2; of a recording or an utterance without speech
CERTAIN = 0.8  # a language that is detected with a probability as high is the one that is spoken
DOUBTFUL = 0.5  # a language that is detected with a lower probability is confirmed on more of the recording
AUTO = "auto"  # sent by clients that have no way to leave the language out
# RFC 5646: language, extended languages, script, region, variants, extensions, private use.
_TAG = re.compile(
    "([a-z]{2,3})((?:-[a-z]{3}){0,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    "(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
)


def language_code(language: str) -> str | None:
    """Whisper's code for a language; None for `auto`, with which it is to be detected.

    language: a code of ISO 639, an English name, or a tag of BCP 47 such as en-US or zh_Hant_TW, in upper or lower
        case. Its script and its region are ignored: see `script_of`.
    Raises InvalidParameter.
    """
    given = _subtags(language)
    if given == AUTO:
        return None
    code = _CODES.get(language.strip().lower()) or _code_of_tag(given)
    if code is None:
        raise InvalidParameter(
            f"'{language[:40]}' is not a language that Whisper knows. Use a code such as 'en' from GET /languages, or "
            "leave 'language' out to have it detected."
        )
    return code


def script_of(language: str) -> Script | None:
    """The script in which Chinese is to be written; None if `language` does not say, and for other languages.

    language: as in `language_code`. The script of a tag counts (zh-Hant), otherwise its region (zh-TW).
    Raises InvalidParameter.
    """
    match = _TAG.fullmatch(_subtags(language))
    if language_code(language) not in CHINESE or match is None:
        return None
    return _SCRIPTS.get(match[3] or match[4])


def language_tag(language: str) -> str | None:
    """The code of a language, for Chinese with its script if that is given, such as zh-Hant; None for `auto`.

    language: as in `language_code`. Raises InvalidParameter.
    """
    code, script = language_code(language), script_of(language)
    return f"{code}-{script}" if script else code


def _subtags(language: str) -> str:
    return language.strip().lower().replace("_", "-")


def _code_of_tag(tag: str) -> str | None:
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    primary, extended = match[1], match[2].removeprefix("-")
    return extended if extended in LANGUAGES else _CODES.get(primary)  # zh-yue is Cantonese
