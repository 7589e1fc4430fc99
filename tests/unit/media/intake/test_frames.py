"""MPEG audio and AAC are found behind zeros, junk and half frames, and not in files that are no sound."""

import asyncio
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media_files import AUDIO_FORMATS, SPOKEN, run_ffmpeg
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import UndecodableMedia, UnsupportedFormat
from transcription.media.decode import decode
from transcription.media.intake.frames import SCAN_BYTES, ends_within_frame, find_frames
from transcription.media.probe import probe

CODECS = {
    "mp3": ("-c:a", "libmp3lame", "-q:a", "4"),
    "mp3 at 16 kHz": ("-ar", "16000", "-c:a", "libmp3lame", "-b:a", "40k"),
    "mp3 at 8 kHz": ("-ar", "8000", "-c:a", "libmp3lame"),
    "mp3 in stereo": ("-ar", "44100", "-ac", "2", "-c:a", "libmp3lame", "-b:a", "192k"),
    "mp2": ("-c:a", "mp2", "-f", "mp2"),
    "aac": AUDIO_FORMATS["aac"],
}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """The spoken sample in each codec, without tags."""
    folder = tmp_path_factory.mktemp("codecs")
    made = {}
    for number, (name, options) in enumerate(CODECS.items()):
        path = folder / f"{number}.{name.partition(' ')[0]}"
        bare = ("-id3v2_version", "0", "-write_xing", "0") if path.suffix == ".mp3" else ()
        run_ffmpeg("-i", str(SPOKEN), "-map_metadata", "-1", *options, *bare, str(path))
        made[name] = path.read_bytes()
    return made


@pytest.fixture
def seconds(settings, uploaded, tmp_path):
    """Seconds of sound in a file of these bytes."""

    def run(content, name=""):
        path = tmp_path / "file"
        path.write_bytes(content)

        async def collect():
            media = await probe(uploaded(path, name), settings)
            return np.concatenate([block async for block in decode(media, settings)])

        samples = asyncio.run(collect())
        assert np.abs(samples.astype(int)).max() > 3000
        return len(samples) / SAMPLE_RATE

    return run


JUNK = {
    "zeros": bytes(4321),
    "a lot of zeros": bytes(300_000),
    "ones": b"\xff" * 5000,
    "noise": random.Random(0).randbytes(3000),
    "a long stretch of noise": random.Random(1).randbytes(200_000),
    "an APE tag": b"APETAGEX" + bytes(600),
    "the remains of a tag": b"\x00\x00TIT2\x00\x00\x00\x05\x00\x00\x00Talk" + bytes(100),
}


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("codec", CODECS)
def test_sound_behind_junk_is_found(encoded, seconds, codec, junk):
    name = f"talk.{codec.partition(' ')[0]}"
    assert seconds(JUNK[junk] + encoded[codec], name) == pytest.approx(3.1, abs=0.4)


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 58, 100, 300])
@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_begins_with_half_a_frame_is_decoded(encoded, seconds, codec, cut):
    assert seconds(encoded[codec][cut:]) == pytest.approx(3.1, abs=0.5)


@pytest.mark.parametrize("codec", CODECS)
def test_junk_behind_a_tag_is_passed_over(encoded, seconds, codec):
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x10" + bytes(16)
    assert seconds(tag + bytes(70_000) + encoded[codec]) == pytest.approx(3.1, abs=0.4)


@pytest.mark.parametrize("codec", CODECS)
def test_a_whole_file_has_no_junk(encoded, codec):
    assert find_frames(encoded[codec]) == ("aac" if codec == "aac" else "mp3", 0)


@pytest.mark.parametrize(
    "head",
    [
        b"PK\x03\x04" + bytes(30),
        b"%PDF-1.7\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
    ],
)
def test_sound_inside_another_kind_of_file_is_not_looked_for(encoded, seconds, head):
    with pytest.raises(UnsupportedFormat):
        seconds(head + bytes(100) + encoded["mp3"])


def test_an_mp3_of_free_format_is_refused_because_ffmpeg_cannot_read_it(tmp_path, seconds):
    """Its frames do not state their bit rate, only their distance tells their length."""
    path = tmp_path / "made.mp3"
    bare = ("-id3v2_version", "0", "-write_xing", "0", "-map_metadata", "-1")
    run_ffmpeg("-i", str(SPOKEN), "-ar", "48000", "-ac", "1", "-c:a", "libmp3lame", "-b:a", "128k", *bare, str(path))
    content = bytearray(path.read_bytes())
    for frame in range(0, len(content), 384):
        content[frame + 2] &= 0x0F
    with pytest.raises(UndecodableMedia):
        seconds(bytes(content))


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_sound(seed):
    assert find_frames(random.Random(seed).randbytes(SCAN_BYTES)) is None


@pytest.mark.parametrize("byte", [b"\x00", b"\xff", b"\xff\xfb", b"\xff\xf1", b"\xff\xfb\x90\x00"])
def test_a_pattern_is_no_sound_and_takes_no_time(byte):
    assert find_frames((byte * (SCAN_BYTES // len(byte)))[: SCAN_BYTES // 4]) is None


TAGS = {"ID3v1": b"TAG" + bytes(125), "APE": b"APETAGEX" + bytes(24), "zeros": bytes(1000), "nothing": b""}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("codec", [each for each in CODECS if each != "aac"])
def test_whole_frames_do_not_end_within_one(encoded, codec, tag):
    assert not ends_within_frame(encoded[codec][-20_000:] + TAGS[tag])


@pytest.mark.parametrize("lacking", [1, 2, 50, 90])
@pytest.mark.parametrize("codec", [each for each in CODECS if each != "aac"])
def test_an_end_within_a_frame_is_noticed(encoded, codec, lacking):
    assert ends_within_frame(encoded[codec][-20_000:-lacking])


@given(st.binary(max_size=500))
def test_any_bytes_can_be_searched(data):
    found = find_frames(data)
    assert found is None or 0 <= found[1] < len(data)
