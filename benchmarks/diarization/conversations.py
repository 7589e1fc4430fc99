"""Conversations built from recordings of single speakers, with exact turns: turn after turn, pauses, some overlap."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray

from tests.support.service import ROOT
from transcription.core.audio import INT16_SCALE, SAMPLE_RATE

Samples = NDArray[np.float32]

SHARED = ROOT.parent / "shared" / "data"  # the recordings beside the checkout

EDGE_FRAME = SAMPLE_RATE // 100  # 10 ms: the resolution at which silence at the ends of an utterance is cut
EDGE_LEVEL = 0.04  # of the loudest frames' level: quieter frames at the ends are silence
LONGEST_PAUSE = 0.5  # seconds of silence within a turn of the reference
LEVEL = 0.05  # root mean square of an utterance, before its gain
NOISE_LEVEL = 0.0005  # of the room
GAINS_DB = (-4.0, 4.0)  # how far speakers differ in loudness
PAUSES = (0.1, 1.0)  # seconds between turns
OVERLAPS = (0.3, 1.5)  # seconds, of the turns that begin before the last one ends
LEAST_UTTERANCES = 3  # of a speaker, so that turns do not sound alike
TELEPHONE_HZ = (300, 3400)
AMR_RATE, AMR_BITS, AMR_FRAME = 8000, 12_200, 160  # samples a second, bits a second, samples a frame
AISHELL = "BAC*S*W*.*"  # BAC009S0150W0073: a set, a speaker, an utterance
MUSIC_SHARE = 1 / 3  # of the pauses
MUSIC_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """One speaker speaking. start, end: seconds. speaker: as the reference or a system names it."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A recording with the truth about it. samples: int16, shape (n,), 16 kHz mono."""

    name: str
    samples: NDArray[np.int16]
    reference: tuple[Stretch, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def speakers(self) -> int:
        return len({each.speaker for each in self.reference})


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a conversation is built. seconds: at least. overlapping: share of the turns that begin in the last one.

    pauses: seconds between the other turns, least and most. music: in a third of the pauses, which are 4 s longer
    then. echo: seconds until the echo of a room is at -60 dB, 0 for none. noise_db: how far noise is below speech.
    longest_turn: seconds; two numbers for a limit of its own for each turn, drawn between them. mobile: the telephones
    are mobile ones.
    """

    name: str
    speakers: int
    seconds: float
    overlapping: float = 0.15
    telephone: bool = False
    mobile: bool = False
    longest_turn: float | tuple[float, float] = 12.0
    pauses: tuple[float, float] = PAUSES
    music: bool = False
    echo: float = 0.0
    noise_db: float | None = None


# Built from recordings of other people than those in the conversations that are given.
RECIPES = (
    Recipe("one", 1, 120),
    Recipe("two", 2, 150),
    Recipe("two-short-turns", 2, 150, longest_turn=3.0),
    Recipe("two-telephone", 2, 150, telephone=True),
    Recipe("three", 3, 150),
    Recipe("five", 5, 150),
    Recipe("eight", 8, 240),
    Recipe("three-much-overlap", 3, 150, overlapping=0.5),
    Recipe("four-half-hour", 4, 1800),
)
# What else recordings are like: rooms, noise, telephones, music, people who say little at a time or nothing for long.
HARDER = (
    Recipe("one-with-pauses", 1, 600, pauses=(0.2, 8.0)),
    Recipe("one-echo", 1, 120, echo=0.6, noise_db=15.0),
    Recipe("two-very-short-turns", 2, 120, longest_turn=1.2),
    Recipe("two-noise", 2, 150, noise_db=10.0),
    Recipe("two-echo", 2, 150, echo=0.6),
    Recipe("two-long-silences", 2, 240, pauses=(2.0, 30.0)),
    Recipe("three-music", 3, 180, music=True),
    Recipe("three-telephone", 3, 180, telephone=True),
    Recipe("six-room", 6, 240, echo=0.4, noise_db=20.0),
)


def by_speaker(*folders: Path) -> dict[str, list[Path]]:
    """The recordings whose names begin with a speaker, as LibriSpeech's do, 1272-128104-0003, or AISHELL's."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted((*folder.glob("*-*-*.*"), *folder.glob(AISHELL))):
            found.setdefault(path.name.split(separator_in(path.name))[0], []).append(path)
    return found


def separator_in(name: str) -> str:
    """What separates speaker, chapter and number in the name of a recording, as LibriSpeech or AISHELL has it."""
    return "-" if "-" in name else "W"


def build(
    recipe: Recipe, voices: Mapping[str, Sequence[Path]], seed: int, least: int = LEAST_UTTERANCES
) -> Conversation:
    """A conversation between speakers drawn from `voices`; the same for the same seed. least: recordings of each.

    Speakers come with equal chances, and one who has said everything starts again, at another loudness.
    """
    draw = np.random.default_rng(seed)
    enough = [name for name in sorted(voices) if len(voices[name]) >= least]
    names = [str(name) for name in draw.choice(enough, recipe.speakers, replace=False)]
    gains = {name: draw.uniform(*GAINS_DB) for name in names}
    pools: dict[str, list[Samples]] = {name: [] for name in names}
    placed: list[tuple[int, Samples, str]] = []
    at, last = SAMPLE_RATE // 2, ""
    while at < recipe.seconds * SAMPLE_RATE:
        name = str(draw.choice([each for each in names if each != last or len(names) == 1]))
        if not pools[name]:
            pools[name] = [utterance(voices[name][index]) for index in draw.permutation(len(voices[name]))]
        sound = _turn(pools[name], _longest(recipe, draw)) * 10 ** ((gains[name] + draw.uniform(-1.5, 1.5)) / 20)
        begins = at + int(draw.uniform(*recipe.pauses) * SAMPLE_RATE)
        if last and draw.random() < recipe.overlapping:
            back = min(draw.uniform(*OVERLAPS), 0.7 * len(sound) / SAMPLE_RATE, 0.7 * len(placed[-1][1]) / SAMPLE_RATE)
            begins = at - int(back * SAMPLE_RATE)
        elif recipe.music and draw.random() < MUSIC_SHARE:
            placed.append((at, _music(MUSIC_SECONDS, draw), ""))
            begins += int(MUSIC_SECONDS * SAMPLE_RATE)
        placed.append((begins, sound.astype(np.float32), name))
        at, last = begins + len(sound), name
    return _mixed(recipe, placed, draw)


@cache
def utterance(path: Path) -> Samples:
    """A recording at LEVEL, without the silence at its ends."""
    sound = np.asarray(decode_audio(str(path), SAMPLE_RATE), np.float32)
    loud = _loud(sound)
    sound = sound[loud[0] * EDGE_FRAME : (loud[-1] + 1) * EDGE_FRAME]
    return sound * np.float32(LEVEL / np.sqrt((sound**2).mean()))


def spoken(sound: Samples) -> Iterator[tuple[int, int]]:
    """The samples in which someone speaks, as (first, one after the last): all but pauses of LONGEST_PAUSE and more."""
    loud = _loud(sound)
    for part in np.split(loud, np.flatnonzero(np.diff(loud) > LONGEST_PAUSE * SAMPLE_RATE / EDGE_FRAME) + 1):
        yield int(part[0]) * EDGE_FRAME, int(part[-1] + 1) * EDGE_FRAME


def _loud(sound: Samples) -> NDArray[np.intp]:
    """The numbers of the frames that are no silence, each of EDGE_FRAME."""
    frames = sound[: len(sound) // EDGE_FRAME * EDGE_FRAME].reshape(-1, EDGE_FRAME)
    levels = np.sqrt((frames**2).mean(axis=1))
    return np.flatnonzero(levels > EDGE_LEVEL * np.percentile(levels, 95))


def _longest(recipe: Recipe, draw: np.random.Generator) -> float:
    if isinstance(recipe.longest_turn, tuple):
        return float(np.exp(draw.uniform(*np.log(recipe.longest_turn))))
    return recipe.longest_turn


def _turn(pool: list[Samples], longest: float) -> Samples:
    """The next words of the first utterance in the pool, cut at the quietest moment if they are longer than a turn."""
    sound, most = pool.pop(0), int(longest * SAMPLE_RATE)
    if len(sound) <= most * 1.3:
        return sound
    search = sound[most // 2 : most]
    frames = search[: len(search) // EDGE_FRAME * EDGE_FRAME].reshape(-1, EDGE_FRAME)
    smooth = np.convolve((frames**2).mean(axis=1), np.ones(15) / 15, mode="same")
    cut = most // 2 + int(smooth.argmin()) * EDGE_FRAME
    pool.insert(0, sound[cut:])
    return sound[:cut]


def _mixed(recipe: Recipe, placed: list[tuple[int, Samples, str]], draw: np.random.Generator) -> Conversation:
    mix = np.zeros(max(begins + len(sound) for begins, sound, _ in placed) + SAMPLE_RATE // 2, np.float32)
    for begins, sound, _ in placed:
        mix[begins : begins + len(sound)] += sound
    if recipe.echo:
        mix = _in_a_room(mix, recipe.echo, draw)
    level = NOISE_LEVEL if recipe.noise_db is None else LEVEL * 10 ** (-recipe.noise_db / 20)
    mix += draw.normal(0, level, len(mix)).astype(np.float32)
    if recipe.telephone:
        mix = mobile(mix) if recipe.mobile else telephone(mix)
    stretches = (
        Stretch((begins + first) / SAMPLE_RATE, (begins + last) / SAMPLE_RATE, name)
        for begins, sound, name in placed
        if name
        for first, last in spoken(sound)
    )
    samples = (np.clip(mix, -1, 1) * (INT16_SCALE - 1)).astype(np.int16)
    return Conversation(recipe.name, samples, tuple(sorted(stretches, key=lambda each: each.start)))


def _in_a_room(sound: Samples, echo: float, draw: np.random.Generator) -> Samples:
    """The sound with the echo of a room: noise that decays by 60 dB in `echo` seconds, as loud as the sound itself."""
    times = np.arange(1, int(echo * SAMPLE_RATE)) / SAMPLE_RATE
    tail = draw.normal(size=len(times)) * 10 ** (-3 * times / echo)
    response = np.concatenate(([1.0], tail / np.sqrt((tail**2).sum()))) / np.sqrt(2)
    points = len(sound) + len(response)  # so that the end does not come round to the beginning
    spectrum = np.fft.rfft(sound, points) * np.fft.rfft(response, points)
    return np.fft.irfft(spectrum, points)[: len(sound)].astype(np.float32)


def _music(seconds: float, draw: np.random.Generator) -> Samples:
    """Chords of half a second on decaying strings, at LEVEL."""
    times = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    chords = []
    for _ in range(int(2 * seconds)):
        root = 110 * 2 ** (draw.integers(0, 12) / 12)
        tones = [root * third * partial for third in (1, 1.26, 1.5) for partial in range(1, 7)]
        chords.append(sum(np.sin(2 * np.pi * tone * times) * 100 / tone for tone in tones) * np.exp(-3 * times))
    sound = np.concatenate(chords)
    return (sound * LEVEL / np.sqrt((sound**2).mean())).astype(np.float32)


def telephone(sound: Samples) -> Samples:
    """The sound of a telephone: a band of 300 to 3,400 Hz, and the 8-bit steps of mu-law at 8 kHz."""
    band = _band(sound, *TELEPHONE_HZ)
    steps = np.round(np.sign(band) * np.log1p(255 * np.abs(band)) / np.log(256) * 127) / 127
    coded = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255
    return _band(coded.astype(np.float32), 0, TELEPHONE_HZ[1])  # a telephone has no sound above its band at all


def mobile(sound: Samples) -> Samples:
    """The sound of a mobile telephone: the telephone's band, through the AMR codec at 12.2 kbit/s."""
    samples = (np.clip(_band(sound, *TELEPHONE_HZ), -1, 1) * (INT16_SCALE - 1)).astype(np.int16)
    coded = io.BytesIO()
    with av.open(coded, "w", format="amr") as file:
        stream = file.add_stream("libopencore_amrnb", rate=AMR_RATE)
        stream.bit_rate, stream.layout = AMR_BITS, "mono"
        for frame in _amr_frames(samples):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    coded.seek(0)
    decoded = np.asarray(decode_audio(coded, SAMPLE_RATE), np.float32)
    return np.pad(decoded, (0, max(0, len(sound) - len(decoded))))[: len(sound)]


def _amr_frames(samples: NDArray[np.int16]) -> Iterator[av.AudioFrame]:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    resampler = av.AudioResampler("s16", "mono", AMR_RATE, AMR_FRAME)
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        part.pts = None
        yield part


def _band(sound: Samples, low: float, high: float) -> Samples:
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    spectrum[(hertz < low) | (hertz > high)] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def read_conversation(path: Path) -> Conversation:
    """A recording with its turns in an RTTM file of the same name."""
    samples = (np.asarray(decode_audio(str(path), SAMPLE_RATE)) * (INT16_SCALE - 1)).astype(np.int16)
    return Conversation(path.stem, samples, tuple(read_rttm(path.with_suffix(".rttm").read_text())))


def read_rttm(text: str) -> list[Stretch]:
    """The turns in an RTTM file: SPEAKER file channel start duration <NA> <NA> name <NA> <NA>."""
    rows = [line.split() for line in text.splitlines() if line.startswith("SPEAKER")]
    return [Stretch(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]


def write_rttm(name: str, stretches: Sequence[Stretch]) -> str:
    """The turns as an RTTM file."""
    return "".join(
        f"SPEAKER {name} 1 {each.start:.3f} {each.end - each.start:.3f} <NA> <NA> {each.speaker} <NA> <NA>\n"
        for each in stretches
    )
