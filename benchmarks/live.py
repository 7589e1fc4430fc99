"""Plays real speech to live sessions in real time: `python -m benchmarks.live RECORDING... --sessions 1`.

The sessions and the model are in this process, as they are in the service but for the call between its processes. With
--simulated, time is that of `benchmarks/simulated.py`, on two cores with nothing else to do. What is measured:

- confirm: from the end of a word, as the offline transcript of the same recording times it, to its confirmed event;
- first: from the start of an utterance's voice to its first text, confirmed or not;
- final: from the last moment of an utterance's voice to its final text, the pause that ends it included;
- revised: words of tentative text that the next event has otherwise, per word of the transcript;
- errors of the live and of the offline text, against `--reference` (JSON: a list of objects with `text`);
- CPU seconds of the process per second of audio;
- early: last decodes begun before their pause was long enough, how many were used, and after how many speech went on.

With --beside, a file is transcribed meanwhile, again and again, and its seconds per second are in the row.
With --policies, the same for the policies of others (`benchmarks/live_policies.py`) in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from prometheus_client import REGISTRY

from benchmarks.clips import read
from benchmarks.evaluate.scoring import count_errors, matches, plain_words, units
from benchmarks.live_policies import PIECE_SECONDS, POLICIES, PeerModel, listen
from benchmarks.simulated import SimulatedDevice, SimulatedLoop
from runners.client.interface import Runner
from runners.decode.engine import Engine
from runners.decode.model import open_model
from runners.models.catalogue import canonical, resolve
from runners.placement import CPU, DeviceLayout, Placement
from transcription.cli.local import InProcessRunner
from transcription.core.audio import INT16_SCALE, SAMPLE_RATE, Window
from transcription.core.errors import TranscriptionError
from transcription.core.options import DecodeOptions, Ticket, TranscriptionRequest, VadOptions
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Transcript, Word
from transcription.live.allowance import LiveClient
from transcription.live.events import Final, LiveEvent, Partial, SpeechStarted, SpeechStopped
from transcription.live.options import LiveOptions
from transcription.live.sessions import LiveSessions
from transcription.media.windows import SHORT_WINDOW_SAMPLES, cut_windows
from transcription.pipeline.assemble import judged

LIMIT_SECONDS = 3.0  # of the 95th percentile of confirmation
WINDOWS_OF_FILE = 8  # with the runner at once


@dataclass(slots=True)
class Played:
    """What a session said, with the seconds since its audio began."""

    events: list[tuple[float, LiveEvent]] = field(default_factory=list)
    error: str = ""

    @property
    def words(self) -> list[tuple[float, Word]]:
        """Confirmed words with the time of their event."""
        return [(at, word) for at, event in self.events if isinstance(event, Partial) for word in event.words]

    @property
    def text(self) -> str:
        """The final texts."""
        return " ".join(event.text for _, event in self.events if isinstance(event, Final))


@dataclass(slots=True)
class File:
    """A file that is transcribed beside the sessions, again and again. seconds: decoded so far."""

    seconds: float = 0.0

    async def transcribe(self, runner: Runner, samples: np.ndarray, options: DecodeOptions) -> None:
        """Keep windows of it with the runner, until this is cancelled."""
        endless = itertools.cycle([window async for window in windows_of(samples)])

        async def one_by_one() -> None:
            while True:
                window = next(endless)
                await runner.transcribe(window, options, Ticket("file"))
                self.seconds += window.duration

        await asyncio.gather(*(one_by_one() for _ in range(WINDOWS_OF_FILE)))


def windows_of(samples: np.ndarray) -> AsyncIterator[Window]:
    """The windows of a recording, as POST /transcribe cuts them."""

    async def blocks() -> AsyncIterator[np.ndarray]:
        yield samples

    return cut_windows(blocks(), VadOptions(), longest=SHORT_WINDOW_SAMPLES)


async def offline(runner: Runner, samples: np.ndarray, options: DecodeOptions) -> Transcript:
    """The transcript of the whole recording, as POST /transcribe makes it."""
    request = TranscriptionRequest(options, VadOptions())
    placed = []
    async for window in windows_of(samples):
        result = await runner.transcribe(window, options, Ticket("offline"))
        placed.append(PlacedResult(window.timeline, result, window.speech, voice=window.voice))
    return judged(placed, request, len(samples) / SAMPLE_RATE)


async def play(sessions: LiveSessions, samples: np.ndarray, options: LiveOptions, name: str) -> Played:
    """Feed a recording in real time, and note what comes back."""
    played = Played()
    try:
        session = await sessions.open(options, LiveClient(name), name)
    except TranscriptionError as error:
        played.error = error.message
        return played
    now = asyncio.get_running_loop().time
    started = now()

    async def listen() -> None:
        async for event in session.events():
            played.events.append((now() - started, event))

    listening = asyncio.create_task(listen())
    step = int(PIECE_SECONDS * SAMPLE_RATE)
    for start in range(0, len(samples), step):
        due = started + min(len(samples), start + step) / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due - now()))
        await session.feed(samples[start : start + step])
    await session.finish()
    await listening
    await session.aclose()
    return played


def confirm_latencies(played: Played, reference: Sequence[Word], language: str) -> list[float]:
    """Seconds from the end of each word of the reference that was heard to its event."""
    heard = [(at, plain) for at, word in played.words for plain in plain_words(word.text, language)]
    spoken = [(word.end, plain) for word in reference for plain in plain_words(word.text, language)]
    pairs = matches([plain for _, plain in spoken], [plain for _, plain in heard])
    return [heard[there][0] - spoken[here][0] for here, there in pairs]


def first_texts(played: Played, padding: float) -> list[float]:
    """Seconds from the start of each utterance's voice to its first text."""
    starts = {event.utterance: event.at + padding for _, event in played.events if isinstance(event, SpeechStarted)}
    firsts: dict[int, float] = {}
    for at, event in played.events:
        if isinstance(event, Partial) and (event.confirmed or event.tentative).strip():
            firsts.setdefault(event.utterance, at)
    return [firsts[number] - start for number, start in starts.items() if number in firsts]


def final_latencies(played: Played) -> list[float]:
    """Seconds from the end of each utterance's voice to its final text."""
    stops = {event.utterance: event.at for _, event in played.events if isinstance(event, SpeechStopped)}
    finals = [(at, event) for at, event in played.events if isinstance(event, Final)]
    return [at - stops[event.utterance] for at, event in finals if event.utterance in stops]


def revised_words(played: Played) -> int:
    """Words of tentative text that the next event of the utterance replaces by others."""
    count, shown, number = 0, [], -1
    for _, event in played.events:
        if not isinstance(event, Partial):
            continue
        before = shown if event.utterance == number else []
        text = (event.confirmed + event.tentative).split()
        count += sum(old != new for old, new in zip(before, text, strict=False)) + max(0, len(before) - len(text))
        shown, number = event.tentative.split(), event.utterance
    return count


def early_decodes() -> list[float]:
    """Last decodes that were begun in a pause, so far: those that were used, and those after which speech went on."""
    return [
        REGISTRY.get_sample_value("transcription_live_early_decodes_total", {"outcome": outcome}) or 0.0
        for outcome in ("used", "discarded")
    ]


def summary(values: Sequence[float]) -> str:
    """Median and 95th percentile."""
    if not values:
        return "-"
    ordered = sorted(values)
    return f"{statistics.median(ordered):.2f} / {ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]:.2f}"


async def measure(arguments: argparse.Namespace, runner: Runner, count: int, peer: str = "") -> float:
    """One run with `count` sessions. Prints its row; returns the 95th percentile of confirmation.

    peer: whose policy is measured; "" for ours.
    """
    options = DecodeOptions(arguments.model, language=arguments.language, word_timestamps=True)
    whole = np.concatenate([read(path) for path in arguments.recordings])
    length = int(arguments.seconds * SAMPLE_RATE)
    # Each session hears another part, so that their pauses do not coincide.
    parts = [np.roll(whole, -number * len(whole) // count)[:length] for number in range(count)]
    references = [await offline(runner, part, options) for part in parts]
    sessions = LiveSessions(runner, Settings(max_live_sessions=count), asyncio.get_running_loop().time)
    model = PeerModel(weights(arguments), simulated=arguments.simulated) if peer else None
    process = psutil.Process()
    before, early = sum(process.cpu_times()[:2]), early_decodes()
    live = LiveOptions(options, words=True)
    file, now = File(), asyncio.get_running_loop().time
    beside = asyncio.create_task(file.transcribe(runner, read(arguments.beside), options)) if arguments.beside else None
    started = now()
    if model:
        floats = [part.astype(np.float32) / np.float32(INT16_SCALE) for part in parts]
        heard = await asyncio.gather(*(listen(POLICIES[peer](arguments.language), model, each) for each in floats))
        results = [Played(events) for events in heard]
    else:
        playing = [play(sessions, part, live, str(number)) for number, part in enumerate(parts)]
        results = await asyncio.gather(*playing)
    cpu, taken = sum(process.cpu_times()[:2]) - before, now() - started
    if beside:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside
    language = arguments.language or "en"
    confirmed = [
        each
        for result, reference in zip(results, references, strict=True)
        for each in confirm_latencies(result, reference.words, language)
    ]
    padding = live.turn_detection.prefix_padding_ms / 1000 if live.turn_detection else 0.0
    row = {
        "policy": peer or "ours",
        "sessions": count,
        "refused": sum(bool(result.error) for result in results),
        "confirm s": summary(confirmed),
        "first s": summary([each for result in results for each in first_texts(result, padding)]),
        "final s": summary([each for result in results for each in final_latencies(result)]),
        "revised": f"{sum(map(revised_words, results)) / max(1, sum(len(r.words) for r in results)):.1%}",
        "cpu/s": f"{cpu / sum(len(part) / SAMPLE_RATE for part in parts):.2f}",
        "early used, discarded": ", ".join(
            f"{after - was:.0f}" for was, after in zip(early, early_decodes(), strict=True)
        ),
        "file s/s": f"{file.seconds / taken:.1f}",
        "load": f"{psutil.getloadavg()[0]:.1f}",
    }
    errors = [
        count_errors(units(reference.text, language), units(result.text, language))
        for result, reference in zip(results, references, strict=True)
        if not result.error
    ]
    row["differs from offline"] = f"{sum(e.total for e in errors) / max(1, sum(e.units for e in errors)):.1%}"
    if arguments.reference and count == 1:
        spoken = [
            item["text"] for item in json.loads(arguments.reference.read_text()) if item["end"] <= arguments.seconds
        ]
        right = units(" ".join(spoken), language)
        live_errors = count_errors(right, units(results[0].text, language))
        file_errors = count_errors(right, units(references[0].text, language))
        row["WER live"] = f"{live_errors.total / live_errors.units:.1%}"
        row["WER offline"] = f"{file_errors.total / file_errors.units:.1%}"
    print(" | ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    if arguments.show:
        for at, event in results[0].events:
            print(f"{at:7.2f} {event}")
    return sorted(confirmed)[int(len(confirmed) * 0.95)] if confirmed else 0.0


async def run(arguments: argparse.Namespace) -> None:
    """All runs, until one is too slow."""
    settings = Settings(whisper_model=arguments.model)
    runner: Runner = simulated(settings) if arguments.simulated else InProcessRunner(settings)
    try:
        for count in arguments.sessions:
            slowest = await measure(arguments, runner, count)
            for peer in arguments.policies:
                await measure(arguments, runner, count, peer)
            if slowest > LIMIT_SECONDS:
                break
    finally:
        if isinstance(runner, InProcessRunner):
            runner.close(interrupted=False)


def weights(arguments: argparse.Namespace) -> Path:
    """The folder of the model."""
    settings = Settings(whisper_model=arguments.model)
    return resolve(canonical(settings.whisper_model), settings)


def simulated(settings: Settings) -> SimulatedDevice:
    """The model on a simulated device."""
    name = canonical(settings.whisper_model)
    folder = resolve(name, settings)
    return SimulatedDevice(Engine(open_model(name, folder, Placement(CPU, "int8"), DeviceLayout(1, 1, 4))))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--sessions", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each session")
    parser.add_argument("--model", default="base")
    parser.add_argument("--language", default=None)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--beside", type=Path, metavar="RECORDING", help="transcribe this file meanwhile")
    parser.add_argument("--policies", nargs="+", choices=tuple(POLICIES), default=[], help="of others, beside ours")
    parser.add_argument("--show", action="store_true", help="print the events of the first session")
    parser.add_argument("--simulated", action="store_true")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=SimulatedLoop if arguments.simulated else None) as runner:
        runner.run(run(arguments))


if __name__ == "__main__":
    main()
