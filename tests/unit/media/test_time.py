"""The index of a decoded sample is its time in the file: sound that starts late or has gaps is where it is heard."""

import asyncio
from io import FileIO

import numpy as np
import pytest

from tests.support.media_files import AUDIO_FORMATS, RATE, SPOKEN, VIDEO_FORMATS, run_ffmpeg, write_wav
from transcription.core.audio import SAMPLE_RATE
from transcription.media.decode import decode
from transcription.media.intake import containers
from transcription.media.media import Media
from transcription.media.probe import probe

PICTURE = ("-f", "lavfi", "-i", "color=black:size=64x48:rate=10:duration=12")
# With a video stream and timestamps.
CLOCKED = {
    **{extension: VIDEO_FORMATS[extension] for extension in ("mp4", "mov", "mkv", "webm", "flv")},
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
}
TOLERANCE = 0.08  # seconds: of encoders' priming and of containers' resolution


def tones(*seconds: float, end: float = 0.0) -> np.ndarray:
    """A tone of half a second at each of these times, and silence to `end` seconds."""
    samples = np.zeros(int(max(end, seconds[-1] + 0.5) * RATE), np.int16)
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)).astype(np.int16)
    for start in seconds:
        samples[int(start * RATE) : int(start * RATE) + len(tone)] = tone
    return samples


def onsets(samples: np.ndarray) -> list[float]:
    """Times at which a tone starts, in seconds."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 2000)
    starts = np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE // 10)
    return [float(loud[i]) / SAMPLE_RATE for i in starts]


@pytest.fixture
def heard_at(settings, uploaded):
    """When the tones in a file are heard."""

    async def collect(path) -> list[float]:
        media = await probe(uploaded(path), settings)
        return onsets(np.concatenate([block async for block in decode(media, settings)]))

    return lambda path: asyncio.run(collect(path))


@pytest.fixture
def tone(tmp_path):
    """A tone at the start of two seconds."""
    return write_wav(tmp_path / "tone.wav", tones(0.0, end=2.0))


def with_a_gap(seconds: float) -> tuple[str, ...]:
    """Options for a gap in the timestamps at one second."""
    return ("-af", f"asetnsamples=n=1600,asetpts='PTS+if(gte(T,1),{seconds}/TB,0)'", "-avoid_negative_ts", "disabled")


@pytest.mark.parametrize("extension", CLOCKED)
def test_sound_that_starts_later_than_the_pictures_is_heard_later(tmp_path, heard_at, tone, extension):
    path = tmp_path / f"late.{extension}"
    run_ffmpeg(
        *PICTURE, "-itsoffset", "5", "-i", str(tone), "-map", "0:v", "-map", "1:a", *CLOCKED[extension], str(path)
    )
    assert heard_at(path) == pytest.approx([5.0], abs=TOLERANCE)


@pytest.mark.parametrize("extension", CLOCKED)
def test_pictures_that_start_later_than_the_sound_move_nothing(tmp_path, heard_at, tone, extension):
    path = tmp_path / f"early.{extension}"
    pictures = ("-itsoffset", "3", *PICTURE)
    run_ffmpeg(*pictures, "-i", str(tone), "-map", "0:v", "-map", "1:a", *CLOCKED[extension], str(path))
    assert heard_at(path) == pytest.approx([0.0], abs=TOLERANCE)


@pytest.mark.parametrize("extension", CLOCKED)
def test_a_gap_in_the_sound_is_as_long_in_the_transcript(tmp_path, heard_at, extension):
    source = write_wav(tmp_path / "tones.wav", tones(0.0, 1.5, end=3.0))
    path = tmp_path / f"gap.{extension}"
    run_ffmpeg(*PICTURE, "-i", str(source), *with_a_gap(7), *CLOCKED[extension], str(path))
    assert heard_at(path) == pytest.approx([0.0, 8.5], abs=2 * TOLERANCE)


@pytest.mark.parametrize("offset", [7200, 90_000, 0.5])
@pytest.mark.parametrize("extension", ["mkv", "webm"])
def test_time_begins_where_the_file_does(tmp_path, heard_at, tone, extension, offset):
    path = tmp_path / f"off.{extension}"
    options = ("-map", "0:v", "-map", "1:a", *CLOCKED[extension], "-output_ts_offset", str(offset))
    run_ffmpeg("-t", "3", *PICTURE, "-itsoffset", "1", "-i", str(tone), *options, str(path))
    assert heard_at(path) == pytest.approx([1.0], abs=TOLERANCE)


def test_a_recording_in_fragments_that_does_not_begin_at_0_is_not_moved(tmp_path, heard_at, tone):
    path = tmp_path / "fragments.mp4"
    run_ffmpeg("-i", str(tone), "-c:a", "aac", "-output_ts_offset", "7200", "-movflags", "frag_keyframe", str(path))
    assert heard_at(path) == pytest.approx([0.0], abs=TOLERANCE)


@pytest.mark.parametrize("extension", AUDIO_FORMATS)
def test_a_file_of_sound_only_starts_at_0(tmp_path, heard_at, tone, extension):
    path = tmp_path / f"same.{extension}"
    run_ffmpeg("-i", str(tone), *AUDIO_FORMATS[extension], str(path))
    assert heard_at(path) == pytest.approx([0.0], abs=TOLERANCE)


@pytest.mark.parametrize("extension", ["webm", "ogg", "mkv"])
def test_no_sound_is_lost_where_timestamps_start_again(tmp_path, heard_at, extension):
    source = write_wav(tmp_path / "tones.wav", tones(0.0, 1.5, end=3.0))
    codec = ("-c:a", "libopus")
    run_ffmpeg("-i", str(source), *codec, str(tmp_path / f"part.{extension}"))
    path = tmp_path / f"twice.{extension}"
    path.write_bytes((tmp_path / f"part.{extension}").read_bytes() * 2)
    assert heard_at(path) == pytest.approx([0.0, 1.5, 3.0, 4.5], abs=2 * TOLERANCE)


@pytest.mark.parametrize("jump", [4000, 10_000_000])
def test_a_jump_past_the_longest_recording_is_no_gap(tmp_path, heard_at, jump):
    source = write_wav(tmp_path / "tones.wav", tones(0.0, 1.5, end=3.0))
    path = tmp_path / "jump.mkv"
    run_ffmpeg("-i", str(source), *with_a_gap(jump), "-c:a", "flac", str(path))
    assert heard_at(path) == pytest.approx([0.0, 1.5], abs=2 * TOLERANCE)


def test_a_long_gap_is_silence(tmp_path, settings, uploaded):
    source = write_wav(tmp_path / "tones.wav", tones(0.0, 1.5, end=3.0))
    path = tmp_path / "gap.mkv"
    run_ffmpeg("-i", str(source), *with_a_gap(3000), "-c:a", "flac", str(path))

    async def seconds() -> float:
        media = await probe(uploaded(path), settings)
        return sum([len(block) async for block in decode(media, settings)]) / SAMPLE_RATE

    assert asyncio.run(seconds()) == pytest.approx(3003, abs=0.2)


def test_avi_has_no_timestamps_to_find_gaps_with(tmp_path, heard_at):
    """Its timestamps come from the byte rate, which a variable bit rate makes wrong."""
    source = write_wav(tmp_path / "tones.wav", tones(0.0, 1.5, end=3.0))
    path = tmp_path / "variable.avi"
    run_ffmpeg(*PICTURE, "-i", str(source), "-c:v", "mpeg4", "-c:a", "libmp3lame", "-q:a", "9", str(path))
    assert heard_at(path) == pytest.approx([0.0, 1.5], abs=2 * TOLERANCE)


def test_ordinary_speech_is_decoded_sample_for_sample_as_ffmpeg_does_without_filters(tmp_path, settings, uploaded):
    for extension in ("mp3", "flac", "m4a", "webm"):
        path = tmp_path / f"spoken.{extension}"
        run_ffmpeg("-i", str(SPOKEN), "-vn", *(AUDIO_FORMATS | {"webm": ("-c:a", "libopus")})[extension], str(path))
        plain = tmp_path / "plain.raw"
        run_ffmpeg("-i", str(path), "-f", "s16le", "-ac", "1", "-ar", str(RATE), str(plain))

        async def collect(path=path) -> np.ndarray:
            media = await probe(uploaded(path), settings)
            return np.concatenate([block async for block in decode(media, settings)])

        assert np.array_equal(asyncio.run(collect()), np.fromfile(plain, np.int16)), extension


def test_pauses_that_an_amr_leaves_out_keep_their_time(tmp_path, heard_at):
    """A telephone sends a frame of comfort noise now and then, for which ffmpeg's decoder returns nothing."""
    source = write_wav(tmp_path / "tones.wav", tones(1.0, 5.0, 9.0, end=10.0))
    path = tmp_path / "pauses.amr"
    run_ffmpeg("-i", str(source), "-ar", "8000", "-c:a", "libopencore_amrnb", "-dtx", "1", str(path))
    assert heard_at(path) == pytest.approx([1.0, 5.0, 9.0], abs=TOLERANCE)


CHANGES = {
    "mp3": ("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"),
    "aac": ("-c:a", "aac", "-f", "adts"),
    "ts": ("-c:a", "mp2"),
    "mpg": ("-c:a", "mp2"),
    "ac3": ("-c:a", "ac3"),
}


@pytest.mark.parametrize("extension", CHANGES)
@pytest.mark.parametrize(
    "parts",
    [
        (("48000", "1"), ("48000", "2"), ("48000", "1")),
        (("48000", "1"), ("44100", "1")),
        (("44100", "2"), ("48000", "1")),
    ],
)
def test_sound_whose_rate_or_channels_change_goes_on(tmp_path, heard_at, extension, parts):
    """Broadcasts change them for an advertisement or a film, joined files where they were joined."""
    source = write_wav(tmp_path / "tones.wav", tones(1.0, end=4.0))
    content, offset = b"", 0.0
    for rate, channels in parts:
        path = tmp_path / f"part.{extension}"
        clock = ("-output_ts_offset", str(offset)) if extension in ("ts", "mpg") else ()
        run_ffmpeg("-i", str(source), *CHANGES[extension], "-ar", rate, "-ac", channels, *clock, str(path))
        content, offset = content + path.read_bytes(), offset + 4.0
    whole = tmp_path / f"whole.{extension}"
    whole.write_bytes(content)
    expected = pytest.approx([1.0, 5.0, 9.0][: len(parts)], abs=0.25)
    assert heard_at(whole) == expected
    if extension == "ts":
        recorded = tmp_path / "recorded.mkv"
        run_ffmpeg("-i", str(whole), "-c", "copy", str(recorded))
        assert heard_at(recorded) == expected


def test_what_follows_a_short_announcement_in_another_format_is_not_late(tmp_path, heard_at):
    source, content = write_wav(tmp_path / "tones.wav", tones(0.5, end=1.5)), b""
    for rate in ("48000", "44100"):
        path = tmp_path / "part.mp3"
        run_ffmpeg("-i", str(source), *CHANGES["mp3"], "-ar", rate, str(path))
        content += path.read_bytes()
    whole = tmp_path / "whole.mp3"
    whole.write_bytes(content)
    assert heard_at(whole) == pytest.approx([0.5, 2.0], abs=0.25)


@pytest.mark.parametrize(
    ("extension", "codec"), [("ts", "aac"), ("ts", "mp2"), ("ts", "ac3"), ("mpg", "mp2"), ("mpg", "ac3")]
)
def test_sound_of_a_broadcast_that_starts_later_than_its_pictures_is_heard_later(
    tmp_path, heard_at, tone, extension, codec
):
    path = tmp_path / f"late.{extension}"
    picture = ("-f", "lavfi", "-i", "color=black:size=64x48:rate=25:duration=12")
    sound = ("-ar", "48000", "-c:a", codec)
    late = ("-itsoffset", "5", "-i", str(tone), "-map", "0:v", "-map", "1:a")
    run_ffmpeg(*picture, *late, "-c:v", "mpeg2video", *sound, str(path))
    assert heard_at(path) == pytest.approx([5.0], abs=0.15)


def test_a_file_without_a_start_begins_with_its_first_sound(tmp_path, settings, tone):
    path = tmp_path / "off.mkv"
    run_ffmpeg("-i", str(tone), "-c:a", "flac", "-output_ts_offset", "600", str(path))
    media = Media(FileIO(path), "", path.stat().st_size, "", containers.MATROSKA.demuxer, "", 0, None, start=None)

    async def collect() -> np.ndarray:
        return np.concatenate([block async for block in decode(media, settings)])

    assert onsets(asyncio.run(collect())) == pytest.approx([0.0], abs=TOLERANCE)
