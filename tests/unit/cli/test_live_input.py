"""What standard input holds: files are refused, and raw samples are never taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import SPOKEN, run_ffmpeg
from transcription.cli.live_input import READ_BYTES, PcmReader
from transcription.cli.transcriber import RecordingFailed

RATE = 16_000
FILES = {
    "mp3": ("-id3v2_version", "0"),
    "mp2": ("-c:a", "mp2"),
    "aac": ("-f", "adts"),
    "ac3": (),
    "eac3": (),
    "ts": ("-c:a", "aac"),
    "m2ts": ("-c:a", "ac3", "-mpegts_m2ts_mode", "1"),
    "aiff": (),
    "au": (),
    "caf": (),
    "w64": (),
    "wv": ("-frame_size", "4096", "-c:a", "wavpack"),
    "wma": (),
    "flv": ("-ar", "44100"),
    "avi": (),
    "amr": ("-ar", "8000", "-c:a", "libopencore_amrnb"),
    "m4a": (),
    "webm": ("-c:a", "libopus"),
    "ogg": ("-c:a", "libopus"),
    "flac": (),
}
SYNCS = (
    b"\xff\xfb\x90\x44",
    b"\xff\xf1\x50\x80",
    b"\x0b\x77\x12\x34\x1c\x40",
    b"\x47\x40\x11\x10",
    b"\xff\xff\xff\xff",
)


def read(data: bytes) -> bytes:
    """What the reader makes of the data, as a pipe brings it."""
    reader = PcmReader(RATE)
    return b"".join(reader.convert(data[at : at + READ_BYTES]) for at in range(0, len(data), READ_BYTES))


@pytest.mark.parametrize("extension", FILES)
def test_a_file_is_refused(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"talk.{extension}"
    run_ffmpeg("-i", str(SPOKEN), "-vn", "-map_metadata", "-1", *FILES[extension], str(path))
    with pytest.raises(RecordingFailed, match=r"ffmpeg -i FILE -f wav - \| transcribe live"):
        read(path.read_bytes())


def test_mp3_that_begins_with_silence_is_refused_once_its_frames_differ(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    plain = ("-id3v2_version", "0", "-write_xing", "0")
    run_ffmpeg("-i", str(SPOKEN), "-vn", "-af", "adelay=1000", *plain, str(path))
    with pytest.raises(RecordingFailed):
        read(path.read_bytes())


def test_a_wav_stream_with_sizes_of_64_bits_is_read(tmp_path: Path) -> None:
    usual, large = tmp_path / "usual.wav", tmp_path / "large.wav"
    for path, option in ((usual, "never"), (large, "always")):
        run_ffmpeg("-i", str(SPOKEN), "-vn", "-ac", "1", "-ar", str(RATE), "-rf64", option, str(path))
    assert large.read_bytes().startswith(b"RF64")
    assert read(large.read_bytes()) == read(usual.read_bytes())


@pytest.mark.parametrize("sync", SYNCS)
def test_samples_that_begin_like_a_frame_are_read(sync: bytes) -> None:
    data = sync + bytes(READ_BYTES)
    assert read(data) == data


@pytest.mark.parametrize("sync", SYNCS)
@pytest.mark.parametrize("frame_bytes", [188, 384, 418, 896])
def test_a_tone_whose_period_is_as_long_as_a_frame_is_read(sync: bytes, frame_bytes: int) -> None:
    data = sync.ljust(frame_bytes, b"\1") * 1000
    assert read(data) == data


@pytest.mark.parametrize("loudness", [1, 3, 300, 20_000])
def test_noise_is_read_from_wherever_it_begins(loudness: int) -> None:
    noise = np.random.default_rng(0).integers(-loudness, loudness + 1, 5000).astype("<i2").tobytes()
    for start in range(0, len(noise) - READ_BYTES, 2):
        part = noise[start : start + READ_BYTES]
        assert read(part) == part
