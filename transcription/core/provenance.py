"""What computed a stored value: the versions, rules and model files that it depends on, beside what was asked for.

The only place that says so. `transcription/pipeline/request_key.py` keys transcripts and windows with it,
`runners/start_layout.py` measured layouts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Their versions change what is decoded, detected or computed.
LIBRARIES = ("faster-whisper", "ctranslate2", "onnxruntime", "tokenizers", "av", "numpy", "opencc")
# Our own rules, as source, so that no number has to be raised when they change. A change that keeps the text costs a
# few transcriptions that would have been answered from the cache.
TEXT_RULES = (
    "runners/decode/*.py",
    "transcription/core/audio.py",
    "transcription/core/languages.py",
    "transcription/core/options.py",
    "transcription/core/speakers.py",
    "transcription/core/text.py",
    "transcription/core/transcript.py",
    "transcription/media/*.py",
    "transcription/pipeline/*.py",
)
SPEAKER_RULES = ("transcription/diarization/*.py",)  # beside TEXT_RULES, if speakers are told apart
# Among these files, but without influence on the transcript of a recording.
NOT_RULES = frozenset(
    {
        "transcription/diarization/online.py",  # live sessions
        "transcription/pipeline/opener.py",
        "transcription/pipeline/room.py",
        "transcription/pipeline/session_speakers.py",  # live sessions
    }
)
LAYOUT_RULES = (
    "runners/batching/layout.py",
    "runners/batching/trials.py",
    "runners/batching/tuning.py",
    "runners/decode/*.py",
    "transcription/system/openmp.py",
)
DIGEST_CHARACTERS = 16  # of a hexadecimal SHA-256; a collision would only reuse a stored result
# Of each model file, evenly spread: reading 3 GB would take too long, and another model differs everywhere.
SAMPLES = 16
SAMPLE_BYTES = 64 * 1024


@cache
def libraries() -> tuple[str, ...]:
    """Name and version of each of LIBRARIES."""
    return tuple(f"{name} {_version(name)}" for name in LIBRARIES)


@cache
def digest_of_sources(patterns: tuple[str, ...]) -> str:
    """A digest of source files of this checkout, without NOT_RULES. patterns: relative to its root."""
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    paths = [path for path in found if path.relative_to(ROOT).as_posix() not in NOT_RULES]
    return _digest(part for path in paths for part in (path.name.encode(), path.read_bytes()))


def digest_of_model(folder: Path) -> str:
    """A digest of the files of a model, of large ones by samples. "" while the folder is missing or not readable."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md")
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError:
        return ""
    return _digest_of_files(tuple(stats))


@cache
def _digest_of_files(files: tuple[tuple[str, int, int], ...]) -> str:
    """files: path, size and time of the last change, in nanoseconds. The time is not part of the digest."""
    try:
        return _digest(part for path, size, _ in files for part in _samples(Path(path), size))
    except OSError:
        return ""


def _samples(path: Path, size: int) -> Iterator[bytes]:
    yield f"{path.name} {size}".encode()
    with path.open("rb") as file:
        if size <= SAMPLES * SAMPLE_BYTES:
            yield file.read()
            return
        for sample in range(SAMPLES):
            file.seek(sample * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            yield file.read(SAMPLE_BYTES)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
