"""A WAV file of 16-bit mono samples at 16 kHz needs no decoder, and comes out as the decoder would have it."""

import asyncio
import os
import struct
import time
from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media_files import SPOKEN, noise, run_ffmpeg, write_wav
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import AudioTooLong, AudioTooShort, ServiceUnavailable
from transcription.media.decode import decode
from transcription.media.intake.containers import HEAD_OF_RAW_PCM, RAW_PCM
from transcription.media.plain import description, plain_samples
from transcription.media.probe import probe
from transcription.media.sandbox.inspect_streams import describe

SOUND = noise(1.3).tobytes()


def chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    padding = bytes(len(content) % 2)
    return name + struct.pack("<I", len(content) if length is None else length) + content + padding


def wav(*chunks: bytes) -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


FMT, DATA = chunk(b"fmt ", RAW_PCM), chunk(b"data", SOUND)
PLAIN = {
    "usual": wav(FMT, DATA),
    "with the length of an extension": wav(chunk(b"fmt ", RAW_PCM + bytes(2)), DATA),
    "with tags before the samples": wav(FMT, chunk(b"LIST", b"INFOISFT\x06\0\0\0Lavf61"), DATA),
    "with room before the format": wav(chunk(b"JUNK", bytes(28)), FMT, DATA),
    "of unknown length": HEAD_OF_RAW_PCM + SOUND,
    "of unknown length, with half a sample": HEAD_OF_RAW_PCM + SOUND + b"\0",
}
NOT_PLAIN = {
    "stereo": wav(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 16)), DATA),
    "8 kHz": wav(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)), DATA),
    "mu-law": wav(chunk(b"fmt ", struct.pack("<HHIIHH", 7, 1, SAMPLE_RATE, SAMPLE_RATE, 1, 8)), DATA),
    "big-endian": wav(FMT, DATA).replace(b"RIFF", b"RIFX"),
    "with its end missing": wav(FMT, DATA)[:-2],
    "with something after its samples": wav(FMT, DATA, chunk(b"LIST", b"INFO")),
    "with a second recording after it": wav(FMT, DATA) * 2,
    "with two formats": wav(FMT, FMT, DATA),
    "with samples before the format": wav(DATA, FMT),
    "with a chunk that is not known here": wav(FMT, chunk(b"SMV0", bytes(8)), DATA),
    "with a header longer than what is read of it": wav(FMT, chunk(b"JUNK", bytes(4000)), DATA),
    "without samples": wav(FMT, chunk(b"data", b"")),
    "nothing": b"",
}


@pytest.fixture
def media(tmp_path, settings, uploaded):
    def run(content: bytes):
        path = tmp_path / "recording.wav"
        path.write_bytes(content)
        return asyncio.run(probe(uploaded(path), settings))

    return run


def blocks_of(media, settings):
    async def collect():
        return [block async for block in decode(media, settings)]

    return asyncio.run(collect())


@pytest.mark.parametrize("content", PLAIN.values(), ids=PLAIN)
def test_a_plain_file_is_described_and_decoded_as_by_ffmpeg(media, settings, content, tmp_path):
    plain = media(content)
    assert plain.plain
    read, decoded = (np.concatenate(blocks_of(each, settings)) for each in (plain, replace(plain, plain=None)))
    np.testing.assert_array_equal(read, decoded)
    found = describe(str(tmp_path / "recording.wav"), "wav")
    stated = description(plain.plain)
    # libavformat counts half a sample at the end as well.
    assert stated["duration"] == pytest.approx(found["duration"], abs=1e-4)
    assert stated["streams"][0] | {"duration": None} == found["streams"][0] | {"duration": None}
    assert stated | {"streams": [], "duration": None} == found | {"streams": [], "duration": None}


@pytest.mark.parametrize("content", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_any_other_file_is_left_to_ffmpeg(content):
    assert plain_samples(content[:1024], len(content)) is None


def test_a_length_that_looks_unknown_is_believed_if_it_is_that_of_the_file():
    length = 0x8000_0000
    head = wav(FMT)[:36] + b"data" + struct.pack("<I", length)
    assert plain_samples(head, 44 + length) == range(44, 44 + length)
    assert plain_samples(head, 44 + length + 8) is None  # something follows
    assert plain_samples(head, 44 + 1000) == range(44, 1044)


def test_what_ffmpeg_and_python_write_is_plain(tmp_path):
    converted = tmp_path / "converted.wav"
    run_ffmpeg("-i", str(SPOKEN), "-ac", "1", "-ar", str(SAMPLE_RATE), str(converted))
    for path in (converted, write_wav(tmp_path / "written.wav", noise(0.5))):
        content = path.read_bytes()
        assert plain_samples(content[:1024], len(content)), path.name


def test_no_process_is_started_for_a_plain_file(media, settings, monkeypatch):
    for starts in ("transcription.media.probe.inspecting", "transcription.media.decode.confined"):
        monkeypatch.setattr(starts, None)
    blocks = blocks_of(media(PLAIN["usual"]), settings)
    assert [len(block) for block in blocks] == [SAMPLE_RATE, SAMPLE_RATE * 3 // 10]


def test_the_longest_and_the_shortest_duration_hold_for_plain_files(media, settings):
    with pytest.raises(AudioTooLong):
        blocks_of(media(PLAIN["usual"]), settings.model_copy(update={"max_duration": 1}))
    with pytest.raises(AudioTooShort, match=r"0\.099 s long"):
        blocks_of(media(wav(FMT, chunk(b"data", SOUND[:3198]))), settings)


def test_a_disk_that_does_not_return_the_samples_is_not_the_fault_of_the_file(media, settings, monkeypatch):
    def fails(*_):
        raise OSError(5, "Input/output error")

    hasty = settings.model_copy(update={"decode_timeout": 0.1})
    for broken in (fails, lambda *_: b"", lambda *_: time.sleep(1)):
        plain = media(PLAIN["usual"])
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", broken)
            with pytest.raises(ServiceUnavailable, match="disk"):
                blocks_of(plain, hasty)


@given(
    changes=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=3),
    content=st.sampled_from(list(PLAIN.values())),
    cut=st.integers(0, 4),
)
def test_what_counts_as_plain_is_read_alike_by_libavformat(tmp_path_factory, changes, content, cut):
    damaged = bytearray(content[: len(content) - cut])
    for place, value in changes:
        damaged[place] = value
    samples = plain_samples(bytes(damaged[:1024]), len(damaged))
    if samples is None:
        return
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(damaged)
    with av.open(str(path), format="wav", metadata_errors="replace") as container:
        read = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    np.testing.assert_array_equal(read, np.frombuffer(bytes(damaged), np.int16, len(samples) // 2, samples.start))
