"""Writes Chinese in the script that was asked for. Whisper writes either one, whatever it is told."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import accumulate, pairwise

from opencc import OpenCC

from transcription.core.languages import CHINESE, Script
from transcription.core.transcript import Segment, Transcript

# OpenCC's configurations, one after the other. Text is simplified first, even for traditional characters: what has them
# already would be taken for simplified (一出來 becomes 一齣來, as if it were 一出来). The standard is Taiwan's, as in
# most of what Whisper writes; OpenCC's own has 爲 and 裏 in place of 為 and 裡.
CONVERSIONS = {Script.SIMPLIFIED: ("t2s",), Script.TRADITIONAL: ("t2s", "s2tw")}


def transcript_in_script(transcript: Transcript, script: Script | None) -> Transcript:
    """The transcript with its segments, words and warnings in a script. Times and figures are unchanged."""
    language = transcript.language
    segments = tuple(segment_in_script(segment, language, script) for segment in transcript.segments)
    warnings = tuple(
        replace(concern, text=text_in_script(concern.text, language, script)) for concern in transcript.warnings
    )
    return replace(transcript, segments=segments, warnings=warnings)


def segment_in_script(segment: Segment, language: str, script: Script | None) -> Segment:
    """The segment with its text and its words in a script."""
    # The words together, not one by one: characters depend on their neighbours, as in 头发 and 发现.
    spoken = text_in_script("".join(word.text for word in segment.words), language, script)
    borders = accumulate((len(word.text) for word in segment.words), initial=0)
    words = tuple(
        replace(word, text=spoken[start:end])
        for word, (start, end) in zip(segment.words, pairwise(borders), strict=True)
    )
    return replace(segment, text=text_in_script(segment.text, language, script), words=words)


def text_in_script(text: str, language: str, script: Script | None) -> str:
    """The text in a script, of the same length. Unchanged without a script and in languages other than Chinese.

    language: Whisper's code. Japanese and Korean have Chinese characters, too, but not these two sets of them.
    """
    if script is None or language not in CHINESE:
        return text
    converted = text
    for configuration in CONVERSIONS[script]:
        converted = _converter(configuration).convert(converted)
    # OpenCC stops at a NUL. Nothing else changes the length: these configurations replace characters one by one.
    return converted if len(converted) == len(text) else text


@cache
def _converter(configuration: str) -> OpenCC:
    return OpenCC(configuration)  # reads its dictionaries, 0.1 s
