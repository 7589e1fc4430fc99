"""What is left of a WebM recording with damage."""

from __future__ import annotations

import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media_files import FFMPEG, SPOKEN
from transcription.core.audio import SAMPLE_RATE
from transcription.media.damaged_webm import CLUSTER, DamagedWebm

LEVELLED = ("-vbr", "off", "-b:a", "32k")
SECOND_BYTES = 4000
CHUNK_BYTES = 1000  # 0.25 s


@pytest.fixture(scope="module", params=["short clusters", "one cluster"])
def recording(request: pytest.FixtureRequest) -> bytes:
    long = ("-cluster_time_limit", "60000", "-cluster_size_limit", "1000000")
    clusters = long if request.param == "one cluster" else ("-cluster_time_limit", "300")
    command = [FFMPEG, "-v", "error", "-stream_loop", "3", "-i", SPOKEN, "-c:a", "libopus", *LEVELLED, *clusters]
    return subprocess.run([*command, "-f", "webm", "-"], check=True, capture_output=True).stdout


def repaired(data: bytes, piece: int = CHUNK_BYTES) -> bytes:
    """What is left of a recording that arrives in pieces of so many bytes."""
    webm = DamagedWebm()
    return b"".join(webm.add(data[at : at + piece]) for at in range(0, len(data), piece)) + webm.end()


def samples_of(recording: bytes) -> bytes:
    """16 kHz mono, int16. What ffmpeg complains of is left out, as in a session."""
    command = [
        FFMPEG,
        "-v",
        "quiet",
        "-f",
        "matroska",
        "-i",
        "-",
        "-ac",
        "1",
        "-ar",
        str(SAMPLE_RATE),
        "-f",
        "s16le",
        "-",
    ]
    return subprocess.run(command, input=recording, check=True, capture_output=True).stdout


def seconds_of(recording: bytes) -> float:
    return len(samples_of(recording)) / 2 / SAMPLE_RATE


def test_a_whole_recording_sounds_as_before(recording: bytes) -> None:
    assert samples_of(repaired(recording)) == samples_of(recording)


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_it_does_not_matter_in_which_pieces_it_arrives(recording: bytes, piece: int) -> None:
    damaged = recording[:9000] + bytes(500) + recording[10_000:]
    assert repaired(damaged, piece) == repaired(damaged)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("damage", ["missing", "random", "ones", "zeros", "a block of 128 MB"])
def test_only_what_is_damaged_is_lost(recording: bytes, damage: str, seed: int) -> None:
    chance = random.Random(seed)
    at = chance.randrange(SECOND_BYTES, len(recording) // 2)
    found = {
        "missing": b"",
        "random": chance.randbytes(CHUNK_BYTES),
        "ones": b"\xff" * CHUNK_BYTES,
        "zeros": bytes(CHUNK_BYTES),
        "a block of 128 MB": (b"\xa3\x18\x00\x00\x00\x81\x00\x00\x80" * CHUNK_BYTES)[:CHUNK_BYTES],
    }[damage]
    damaged = recording[:at] + found + recording[at + CHUNK_BYTES :]
    assert seconds_of(recording) - seconds_of(repaired(damaged)) < 0.6


def test_a_cluster_whose_beginning_is_lost_goes_on_with_its_blocks(recording: bytes) -> None:
    at = (
        recording.index(CLUSTER.to_bytes(4), SECOND_BYTES) if recording.count(CLUSTER.to_bytes(4)) > 1 else SECOND_BYTES
    )
    assert seconds_of(recording) - seconds_of(repaired(recording[: at - 2] + recording[at + 20 :])) < 0.3


@given(st.binary())
def test_what_does_not_begin_like_webm_passes_as_it_is(data: bytes) -> None:
    assert repaired(b"no webm" + data, 3) == b"no webm" + data


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_after_the_first_cluster_are_taken(data: bytes, piece: int) -> None:
    head = bytes.fromhex("1a45dfa3801853806701ffffffffffffff1f43b67501ffffffffffffffe78100")
    assert repaired(head + data, piece).startswith(head)
