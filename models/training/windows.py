"""Training examples: windows of sentences, with targets for decoder, encoder and attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.augment import augment, not_speech
from models.training.pool import Sentence
from models.training.speech import SAMPLE_RATE
from models.training.vocabulary import Vocabulary

ENCODER_FRAMES_PER_SECOND = 50  # one every 20 ms
MEL_FRAMES_PER_SECOND = 100
IGNORE = -100
SILENCE = 0  # phoneme class
NO_SPEECH_SHARE = 0.04
PROMPT_SHARE = 0.10
PLAIN_SHARE = 0.15  # windows without timestamps
CUT_SHARE = 0.12  # windows that end in the middle of a sentence


@dataclass(frozen=True, slots=True)
class Layout:
    """seconds: duration of the window. single_share: share of windows with a single sentence, 0..1."""

    seconds: int
    single_share: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A sentence in a window. start: its offset in the window, samples."""

    sentence: Sentence
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.sentence.spoken.samples)


@dataclass(frozen=True, slots=True)
class Example:
    """features: (80, 100 * seconds). tokens, targets: decoder input and what follows each, IGNORE where not trained.

    spans: (len(tokens), 2), first and last encoder frame of the next token, -1 where unknown.
    phonemes: (50 * seconds,), IGNORE after the audio. characters: for CTC. offset: encoder position of frame 0.
    """

    features: NDArray[np.float32]
    tokens: list[int]
    targets: list[int]
    spans: list[tuple[int, int]]
    phonemes: NDArray[np.int64]
    characters: list[int]
    offset: int


class WindowMaker:
    """Creates random examples from a pool of spoken sentences."""

    def __init__(
        self, pool: dict[str, list[Sentence]], vocabulary: Vocabulary, phonemes: Sequence[str], characters: str
    ) -> None:
        self._pool = pool
        self._vocabulary = vocabulary
        self._phoneme_ids = {name: index + 1 for index, name in enumerate(phonemes)}
        self._character_ids = {c: index + 1 for index, c in enumerate(characters)}  # 0 is CTC's blank
        self._extract = FeatureExtractor(feature_size=80)

    def example(self, layout: Layout, rng: Generator) -> Example:
        """A random window."""
        if rng.random() < NO_SPEECH_SHARE:
            return self._silent(layout, rng)
        language = str(rng.choice(list(self._pool)))
        placed, length, cut = self._place(language, layout, rng)
        audio = np.zeros(length, np.float32)
        for item in placed if cut is None else [*placed, cut]:
            part = item.sentence.spoken.samples[: length - item.start].astype(np.float32) / 32768
            # Loudness also varies within a window.
            audio[item.start : item.start + len(part)] += part * np.float32(10 ** rng.uniform(-0.3, 0))
        offset = 0
        room = 30 - layout.seconds
        if room and rng.random() < 0.5:
            offset = int(rng.integers(0, room * ENCODER_FRAMES_PER_SECOND + 1))
        tokens, targets, spans = self._decoder(language, placed, cut, offset, rng)
        return Example(
            self.features(augment(audio, rng), layout.seconds),
            tokens,
            targets,
            spans,
            self._phonemes(placed if cut is None else [*placed, cut], length, layout.seconds),
            self._characters(placed),
            offset,
        )

    def features(self, audio: NDArray[np.float32], seconds: int) -> NDArray[np.float32]:
        """The log-mel features of the audio, then zeros, exactly as faster-whisper pads a short clip."""
        frames = seconds * MEL_FRAMES_PER_SECOND
        mel = self._extract(audio)[:, :-1][:, :frames]
        return np.pad(mel, ((0, 0), (0, frames - mel.shape[1]))).astype(np.float32)

    def _place(self, language: str, layout: Layout, rng: Generator) -> tuple[list[Placed], int, Placed | None]:
        window = layout.seconds * SAMPLE_RATE
        sentences = self._pool[language]
        placed: list[Placed] = []
        cursor = int(rng.uniform(0, 0.8) ** 1.5 * SAMPLE_RATE)
        most = 1 if rng.random() < layout.single_share else int(rng.integers(2, 3 + layout.seconds // 3))
        while len(placed) < most:
            sentence = sentences[rng.integers(len(sentences))]
            item = Placed(sentence, cursor)
            if item.end > window:
                if placed and rng.random() < 4 * CUT_SHARE and window - item.start > SAMPLE_RATE // 4:
                    return placed, window, item
                if not placed:
                    cursor = 0
                    continue
                break
            placed.append(item)
            cursor = item.end + int(rng.choice([rng.uniform(0.1, 0.5), rng.uniform(0.4, 1.6)]) * SAMPLE_RATE)
        tail = int(rng.choice([rng.uniform(0.02, 0.6), rng.uniform(0.3, 3.0)]) * SAMPLE_RATE)
        return placed, min(window, placed[-1].end + tail), None

    def _decoder(
        self, language: str, placed: list[Placed], cut: Placed | None, offset: int, rng: Generator
    ) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        vocabulary = self._vocabulary
        shift = offset / ENCODER_FRAMES_PER_SECOND
        timestamps = rng.random() >= PLAIN_SHARE
        prompt: list[int] = []
        if rng.random() < PROMPT_SHARE:
            before = self._pool[language][rng.integers(len(self._pool[language]))].text
            prompt = [vocabulary.id("startofprev"), *vocabulary.encode(before)[0]]
        body = [vocabulary.id("startoftranscript"), vocabulary.id(language), vocabulary.id("transcribe")]
        spans = [(-1, -1)] * 3
        if not timestamps:
            body.append(vocabulary.id("notimestamps"))
            spans.append((-1, -1))
        for item in placed:
            ids, ranges = vocabulary.encode(item.sentence.text)
            if timestamps:
                body.append(vocabulary.timestamp(shift + item.start / SAMPLE_RATE))
                spans.append((-1, -1))
            body += ids
            spans += [self._span(item, characters) for characters in ranges]
            if timestamps:
                body.append(vocabulary.timestamp(shift + item.end / SAMPLE_RATE))
                spans.append((-1, -1))
        if timestamps and cut is not None:
            body.append(vocabulary.timestamp(shift + cut.start / SAMPLE_RATE))
            spans.append((-1, -1))
        body.append(vocabulary.id("endoftext"))
        spans.append((-1, -1))
        # Without timestamps it is undefined whether the cut sentence is transcribed: its end is not trained.
        targets = body[1:]
        if not timestamps and cut is not None:
            targets[-1] = IGNORE
        return (
            prompt + body[:-1],
            [IGNORE] * len(prompt) + targets,
            [(-1, -1)] * len(prompt) + spans[1:],
        )

    def _span(self, item: Placed, characters: tuple[int, int]) -> tuple[int, int]:
        text, starts = item.sentence.text, item.sentence.spoken.word_starts
        word = text[: max(characters[0], characters[1] - 1)].count(" ")
        end = starts[word + 1] if word + 1 < len(starts) else item.end - item.start
        per_frame = SAMPLE_RATE // ENCODER_FRAMES_PER_SECOND
        return (item.start + starts[word]) // per_frame, (item.start + end) // per_frame

    def _phonemes(self, placed: list[Placed], length: int, seconds: int) -> NDArray[np.int64]:
        per_frame = SAMPLE_RATE // ENCODER_FRAMES_PER_SECOND
        frames = np.full(seconds * ENCODER_FRAMES_PER_SECOND, IGNORE, np.int64)
        frames[: length // per_frame] = SILENCE
        for item in placed:
            phonemes = item.sentence.spoken.phonemes
            ends = [*(start for _, start in phonemes[1:]), item.end - item.start]
            for (name, start), end in zip(phonemes, ends, strict=True):
                label = self._phoneme_ids.get(phoneme_name(item.sentence.language, name), SILENCE)
                frames[
                    (item.start + start) // per_frame : min((item.start + end) // per_frame, length // per_frame)
                ] = label
        return frames

    def _characters(self, placed: list[Placed]) -> list[int]:
        text = " ".join(item.sentence.text for item in placed)
        return [self._character_ids[c] for c in text]

    def _silent(self, layout: Layout, rng: Generator) -> Example:
        vocabulary = self._vocabulary
        length = int(rng.uniform(0.2, layout.seconds) * SAMPLE_RATE)
        language = vocabulary.id(str(rng.choice(list(self._pool))))
        # For silence after an ordinary prompt: <|nospeech|> first, then no text.
        tokens = [vocabulary.id("startoftranscript"), language, vocabulary.id("transcribe"), vocabulary.timestamp(0)]
        targets = [vocabulary.id("nospeech"), IGNORE, vocabulary.timestamp(0), vocabulary.id("endoftext")]
        return Example(
            self.features(not_speech(length, rng), layout.seconds),
            tokens,
            targets,
            [(-1, -1)] * 4,
            self._phonemes([], length, layout.seconds),
            [],
            0,
        )


def phoneme_name(language: str, name: str) -> str:
    """An espeak-ng mnemonic without stress marks, qualified by the language; "" for a pause."""
    bare = name.lstrip("',%=")
    return "" if not bare or bare.startswith("_") else f"{language}:{bare}"
