"""Options that other Whisper commands have and this one does not: openai/whisper, whisper-ctranslate2 and whisperX.

People type them by habit. One whose effect is there anyway is left out, with a note; one with the same meaning under
another name is translated; any other is refused, with what to do instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

# As these commands take them.
WORDS_FOR_ON = ("True", "true")
WORDS_FOR_OFF = ("False", "false")
NUMBER_OF_TEMPERATURES = "The temperature is raised in steps of 0.2."
THRESHOLDS = (
    "When a decode is repeated is decided as in Whisper by default. Use --set hallucinations=drop, mark or keep."
)
DECODING = "Decoding is that of Whisper by default, apart from --beam_size, --best_of and --temperature."
PAUSES = "Recordings are cut at pauses, into windows that suit the model."
MICROPHONE = "Use `transcribe live --microphone`, with the name of a device behind it if there are several."
LANGUAGE = "The language is found in the first speech. Use --language, or --set multilingual=true."
OFFLINE = "Models on disk are not looked for elsewhere. Set HF_HUB_OFFLINE=1 to forbid downloads."
SUBTITLES = "Use --max_line_width, --max_line_count or --max_words_per_line."

# The parameter of POST /transcribe that the value belongs to.
PARAMETERS = {
    "--vad-threshold": "vad_threshold",
    "--vad-onset": "vad_threshold",
    "--vad-min-silence-duration-ms": "vad_min_silence_ms",
    "--vad-speech-pad-ms": "vad_speech_pad_ms",
    "--multilingual": "multilingual",
    "--min-speakers": "min_speakers",
    "--max-speakers": "max_speakers",
    "--speaker-num": "num_speakers",
}


@dataclass(frozen=True, slots=True)
class Other:
    """An option of another command.

    remark: why it is not needed, or what to do instead. needless: values that change nothing here; empty for
    none, None for all. takes_value: whether a word follows it.
    """

    remark: str
    needless: tuple[str, ...] | None = ()
    takes_value: bool = True


NEEDLESS = {
    "--fp16": "The number format suits the device. --compute_type sets it.",
    "--hf-token": "Speakers are told apart without a token.",
    "--diarize-model": "The model that tells speakers apart is built in.",
    "--batch-size": "Windows are decoded in batches that suit the device.",
    "--batched": "Windows are decoded in batches that suit the device.",
    "--print-progress": "The progress is shown on a terminal.",
    "--print-colors": "The text has no colours.",
    "--pretty-json": "Programs read JSON on one line as well.",
    "--log-level": "-q prints errors only.",
    "--vad-method": "There is one way to find speech.",
    "--vad-offset": "One threshold is used for the beginning and the end of speech.",
    "--align-model": "--word_timestamps needs no other model.",
    "--interpolate-method": "Every word has a time.",
    "--chunk-size": PAUSES,
    "--chunk-length": PAUSES,
    "--local-files-only": OFFLINE,
    "--model-cache-only": OFFLINE,
}
OTHERS = {
    **{name: Other(remark, None) for name, remark in NEEDLESS.items()},
    "--no-align": Other("--word_timestamps needs no other model.", None, takes_value=False),
    "--condition-on-previous-text": Other(
        "No part of a recording is decoded with the text of the one before it.", WORDS_FOR_OFF
    ),
    "--carry-initial-prompt": Other("Every part of a recording is decoded with the prompt.", WORDS_FOR_ON),
    "--patience": Other(DECODING, ("1", "1.0")),
    "--length-penalty": Other(DECODING, ("1", "1.0")),
    "--suppress-tokens": Other(DECODING, ("-1",)),
    "--suppress-blank": Other(DECODING, WORDS_FOR_ON),
    "--suppress-numerals": Other(DECODING, takes_value=False),
    "--without-timestamps": Other(DECODING, WORDS_FOR_OFF),
    "--max-initial-timestamp": Other(DECODING, ("1", "1.0")),
    "--max-new-tokens": Other(DECODING),
    "--repetition-penalty": Other(DECODING, ("1", "1.0")),
    "--no-repeat-ngram-size": Other(DECODING, ("0",)),
    "--prefix": Other("Use --initial_prompt."),
    "--prompt-reset-on-temperature": Other(DECODING),
    "--temperature-increment-on-fallback": Other(NUMBER_OF_TEMPERATURES, ("0.2",)),
    "--compression-ratio-threshold": Other(THRESHOLDS, ("2.4",)),
    "--logprob-threshold": Other(THRESHOLDS, ("-1", "-1.0")),
    "--no-speech-threshold": Other(THRESHOLDS, ("0.6",)),
    "--hallucination-silence-threshold": Other("Use --set hallucinations=drop, mark or keep."),
    "--prepend-punctuations": Other("Punctuation belongs to the word that it stands beside."),
    "--append-punctuations": Other("Punctuation belongs to the word that it stands beside."),
    "--clip-timestamps": Other("Cut the recording first, such as with ffmpeg -ss and -to.", ("0",)),
    "--language-detection-threshold": Other(LANGUAGE),
    "--language-detection-segments": Other(LANGUAGE),
    "--vad-min-speech-duration-ms": Other("Use --set vad_threshold=..., or --vad_filter False."),
    "--vad-max-speech-duration-s": Other(PAUSES),
    "--device-index": Other("Use --device cuda:0 with its number.", ("0",)),
    "--model-directory": Other("Use --model_dir with the folder that it is in, and --model with its name."),
    "--cache-directory": Other("Use --model_dir."),
    "--speaker-name": Other("Use --set speaker_labels=..."),
    "--speaker-embeddings": Other("The API has the samples of known voices, see docs/SPEAKERS.md."),
    "--return-char-alignments": Other("Words have times, characters do not.", takes_value=False),
    "--segment-resolution": Other(SUBTITLES),
    "--live-transcribe": Other(MICROPHONE, WORDS_FOR_OFF),
    "--live-volume-threshold": Other(MICROPHONE),
    "--live-input-device": Other(MICROPHONE),
    "--live-input-device-sample-rate": Other(MICROPHONE),
}
# Those that may stand without True or False: then the next word is not theirs, but perhaps a recording.
SWITCHES = frozenset(
    {
        *("--fp16", "--batched", "--print-progress", "--print-colors", "--pretty-json", "--local-files-only"),
        *("--model-cache-only", "--multilingual"),
        *(name for name, other in OTHERS.items() if other.needless in (WORDS_FOR_ON, WORDS_FOR_OFF)),
    }
)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A command line without options of others. notes: on those that were left out."""

    arguments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def adapted(arguments: Sequence[str]) -> Adapted:
    """The command line in this command's own options. Raises click.UsageError, which names all that are refused."""
    done = Adapted()
    refused: list[str] = []
    rest = deque(arguments)
    while rest:
        word = rest.popleft()
        if word == "--":
            done.arguments.extend([word, *rest])
            break
        name, equals, value = word.partition("=")
        known = name.replace("_", "-")
        if known in PARAMETERS:
            done.arguments.extend(["--set", f"{PARAMETERS[known]}={_value(known, equals, value, rest).lower()}"])
        elif known in OTHERS:
            other = OTHERS[known]
            given = _value(known, equals, value, rest) if other.takes_value else ""
            if other.needless is None or given in other.needless:
                done.notes.append(f"{name} is not needed. {other.remark}")
            else:
                refused.append(f"{name} has no counterpart here. {other.remark}")
        else:
            done.arguments.append(word)
    if refused:
        raise click.UsageError("\n".join(refused))
    return done


def _value(name: str, equals: str, value: str, rest: deque[str]) -> str:
    """The value of an option: behind its equals sign, or the next word. A switch without one is on."""
    if equals:
        return value
    if name in SWITCHES and (not rest or rest[0] not in (*WORDS_FOR_ON, *WORDS_FOR_OFF)):
        return WORDS_FOR_ON[0]
    return rest.popleft() if rest else ""
