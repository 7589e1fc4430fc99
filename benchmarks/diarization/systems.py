"""The systems that are measured, each conversation in a process of its own, so that its cost can be told apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.diarization.conversations import Conversation, Samples, Stretch
from transcription.core.audio import INT16_SCALE, SAMPLE_RATE
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.options import DecodeOptions
from transcription.core.speakers import SpeakerOptions, Turn
from transcription.diarization.diarizer import Diarizer
from transcription.diarization.sessions import OnnxSpeakerModels
from transcription.diarization.weights import EMBEDDING, FOLDER, SEGMENTATION
from transcription.live.listening import Listening
from transcription.live.options import LiveOptions
from transcription.live.turns import Started
from transcription.live.voices import Voices
from transcription.media.voice_stream import VoiceStream

OURS, LIVE, SHERPA = "transcription", "live", "sherpa-onnx"
SYSTEMS = (OURS, LIVE, SHERPA)
MEGABYTE = 1_000_000
BLOCK_SECONDS = 1.0  # of sound at a time, as from a decoder
LIVE_BLOCK = SAMPLE_RATE // 10  # samples at a time, as from a client
SHERPA_THRESHOLD = 0.5  # its default


@dataclass(frozen=True, slots=True)
class Found:
    """What a system found. cpu: CPU-seconds. memory: peak above that of the process before, the models included, MB."""

    stretches: tuple[Stretch, ...]
    cpu: float
    memory: float


def run(system: str, conversation: Conversation, count: int | None = None) -> Found:
    """The turns that a system finds, in a new process. count: number of speakers, if the system is told."""
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as process:
        # In a file: the system reads it as a stream, and the whole of it is not part of its memory.
        path = Path(folder, "samples.npy")
        np.save(path, conversation.samples)
        return process.submit(_measured, system, path, count).result()


def _measured(system: str, path: Path, count: int | None) -> Found:
    before, started = psutil.Process().memory_info().rss, time.process_time()
    stretches = _RUN[system](np.load(path, mmap_mode="r"), count)
    cpu = time.process_time() - started
    return Found(stretches, cpu, (_peak() - before) / MEGABYTE)


def _peak() -> int:
    """The most memory that this process has had resident, bytes. `getrusage` counts that of its parent, too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


def _ours(samples: Samples, count: int | None) -> tuple[Stretch, ...]:
    diarizer = Diarizer(OnnxSpeakerModels(EMBEDDED_MODEL_DIR), SpeakerOptions(num_speakers=count))
    block = int(BLOCK_SECONDS * SAMPLE_RATE)
    for start in range(0, len(samples), block):
        diarizer.feed(np.array(samples[start : start + block]))
    return tuple(Stretch(turn.start, turn.end, str(turn.speaker)) for turn in diarizer.finish().turns)


def _live(samples: Samples, count: int | None) -> tuple[Stretch, ...]:
    """As a live session tells them apart: each utterance when it has ended, from those before it alone."""
    options = LiveOptions(DecodeOptions(""), speakers=SpeakerOptions(max_speakers=count))
    final = LiveTurns(options).of(samples)
    return tuple(Stretch(turn.start, turn.end, str(turn.speaker)) for turn in asyncio.run(final))


class LiveTurns:
    """The parts of a live session that have to do with speakers, without a model for the text."""

    def __init__(self, options: LiveOptions) -> None:
        assert options.speakers is not None
        self._voices = Voices(EMBEDDED_MODEL_DIR, options.speakers)
        self._listening = Listening(options)
        self._found: list[Turn] = []

    async def of(self, samples: Samples) -> list[Turn]:
        """The turns in a recording."""
        listening, stream = self._listening, VoiceStream()
        for start in range(0, len(samples), LIVE_BLOCK):
            chunks = listening.append(np.array(samples[start : start + LIVE_BLOCK]))
            for turn in listening.hear(stream.listen(chunks)):
                if isinstance(turn, Started):
                    listening.start(turn)
                else:
                    await self._end(turn.at)
            if listening.current:
                await self._voices.hear(listening.current, listening.audio, listening.voice_end)
            listening.let_go()
        if listening.current:
            await self._end(listening.audio.end)
        return self._found

    async def _end(self, at: int) -> None:
        utterance, end = self._listening.end(at)
        sound = self._voices.end(utterance, self._listening.audio, end, self._listening.voice_end)
        self._found += (await self._voices.label(utterance.final(end), sound)).turns


def _sherpa(samples: Samples, count: int | None) -> tuple[Stretch, ...]:
    import sherpa_onnx as sherpa  # only here: its own onnxruntime would count as memory of ours

    folder = EMBEDDED_MODEL_DIR / FOLDER
    pyannote = sherpa.OfflineSpeakerSegmentationPyannoteModelConfig(str(folder / SEGMENTATION))
    config = sherpa.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa.OfflineSpeakerSegmentationModelConfig(pyannote),
        embedding=sherpa.SpeakerEmbeddingExtractorConfig(model=str(folder / EMBEDDING)),
        clustering=sherpa.FastClusteringConfig(num_clusters=count or -1, threshold=SHERPA_THRESHOLD),
    )
    result = sherpa.OfflineSpeakerDiarization(config).process(samples.astype(np.float32) / np.float32(INT16_SCALE))
    return tuple(Stretch(each.start, each.end, str(each.speaker)) for each in result.sort_by_start_time())


_RUN: Mapping[str, Callable[[Samples, int | None], tuple[Stretch, ...]]] = {
    OURS: _ours,
    LIVE: _live,
    SHERPA: _sherpa,
}
