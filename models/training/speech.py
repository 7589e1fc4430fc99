"""Speech synthesis with espeak-ng's C library, with the time of each word and phoneme."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to the callback, in the caller's thread
_PHONEME_EVENTS = 0x0001
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7  # espeak_EVENT_TYPE


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Voice:
    """name: an espeak voice with its variant, such as `en-us+f3`. rate: words per minute. pitch, spread: 0..99."""

    name: str
    rate: int
    pitch: int
    spread: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One spoken sentence.

    samples: int16, 16 kHz, trimmed to the speech.
    word_starts: index of the first sample of each word of the text, ascending.
    phonemes: name and index of the first sample, ascending.
    """

    samples: NDArray[np.int16]
    word_starts: tuple[int, ...]
    phonemes: tuple[tuple[str, int], ...]


@cache
def synthesiser() -> Synthesiser:
    """The synthesiser of this process. There is only one, because the C library has global state."""
    return Synthesiser()


class Synthesiser:
    """espeak-ng in this process. Use `synthesiser()` to get it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 200, data, _PHONEME_EVENTS)
        if self._rate <= 0:
            raise RuntimeError(f"espeak-ng failed to start with the data in {data.decode()}")
        self._blocks: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, int, int, str]] = []
        self._callback = _Callback(self._receive)  # keeps a reference: C has only a pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wav: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wav and count > 0:
            self._blocks.append(np.ctypeslib.as_array(wav, shape=(count,)).copy())
        index = 0
        while events[index].type != _END_OF_LIST:
            event = events[index]
            if event.type in (_WORD, _PHONEME):
                name = event.id.string.decode(errors="replace") if event.type == _PHONEME else ""
                self._events.append((event.type, event.sample, event.text_position, name))
            index += 1
        return 0

    def speak(self, text: str, voice: Voice) -> Utterance | None:
        """The text in a voice, or None if espeak-ng produces no speech. Raises ValueError for an unknown voice."""
        self._blocks, self._events = [], []
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice.name}")
        for parameter, value in ((_RATE, voice.rate), (_PITCH, voice.pitch), (_RANGE, voice.spread)):
            self._library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        return self._utterance(text)

    def _utterance(self, text: str) -> Utterance | None:
        if not self._blocks:
            return None
        raw = np.concatenate(self._blocks)
        ratio = SAMPLE_RATE / self._rate
        samples = resample(raw, ratio)
        positions = _word_positions(text)
        starts = {position - 1: round(sample * ratio) for kind, sample, position, _ in self._events if kind == _WORD}
        if positions[0] not in starts:
            return None
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 150)
        if not len(loud):
            return None
        first, last = max(0, int(loud[0]) - 160), min(len(samples), int(loud[-1]) + 160)
        # espeak-ng speaks some pairs ("in the") as one unit: the start of the second word is interpolated by letters.
        known = sorted(starts)
        times = np.interp(positions, [*known, len(text)], [*(starts[p] for p in known), last])
        words = tuple(max(0, int(time) - first) for time in times)
        phonemes = tuple(
            (name, max(0, round(sample * ratio) - first)) for kind, sample, _, name in self._events if kind == _PHONEME
        )
        return Utterance(samples[first:last], words, phonemes)


def _word_positions(text: str) -> list[int]:
    positions, cursor = [], 0
    for word in text.split():
        cursor = text.index(word, cursor)
        positions.append(cursor)
        cursor += len(word)
    return positions


def resample(samples: NDArray[np.int16], ratio: float) -> NDArray[np.int16]:
    """Band-limited resampling of a whole clip in the frequency domain."""
    size = len(samples) + 441 - len(samples) % 441
    target = round(size * ratio)
    spectrum = np.fft.rfft(samples.astype(np.float32), size)[: target // 2 + 1]
    out = np.fft.irfft(spectrum, target) * (target / size)
    return np.clip(out[: round(len(samples) * ratio)], -32768, 32767).astype(np.int16)
