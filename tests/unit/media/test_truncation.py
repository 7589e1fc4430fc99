"""A file that breaks off is decoded as far as it goes, with a notice; a complete one has none."""

import asyncio
import struct
import subprocess

import numpy as np
import pytest

from tests.support.media_files import (
    ALL_FORMATS,
    AUDIO_FORMATS,
    FFMPEG,
    SPOKEN,
    VIDEO_FORMATS,
    convert,
    noise,
    run_ffmpeg,
    write_wav,
)
from transcription.core.transcript import TRUNCATED_MEDIA
from transcription.media.decode import decode
from transcription.media.probe import probe

SECONDS, VIDEO_SECONDS = 15, 3  # as long as the picture that `convert` adds
FAST_START = {"mp4", "m4a", "mov"}  # others cannot be read at all without their end


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Fifteen seconds of speech in every format, by extension. What describes the sound is at the begin."""
    folder = tmp_path_factory.mktemp("whole")
    speech = folder / "speech.wav"
    run_ffmpeg("-stream_loop", "-1", "-i", str(SPOKEN), "-t", str(SECONDS), str(speech))
    files = {}
    for extension in ALL_FORMATS:
        made = convert(speech, folder / f"made.{extension}")
        if extension in FAST_START:
            target = folder / f"whole.{extension}"
            run_ffmpeg("-i", str(made), "-c", "copy", "-movflags", "+faststart", str(target))
            made = target
        files[extension] = made.read_bytes()
    return files


@pytest.fixture
def ending(tmp_path, settings, uploaded):
    """Seconds of sound in a file of these bytes, and the notices about it."""

    def find(content):
        path = tmp_path / "file"
        path.write_bytes(content)

        async def read():
            notices = []
            media = await probe(uploaded(path), settings)
            samples = sum([len(block) async for block in decode(media, settings, notices)])
            return samples / 16_000, notices

        return asyncio.run(read())

    return find


@pytest.mark.parametrize("extension", ALL_FORMATS)
def test_a_complete_file_has_no_notice(whole, ending, extension):
    assert ending(whole[extension])[1] == []


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("extension", [each for each in ALL_FORMATS if each != "avi"])
def test_a_file_that_breaks_off_is_decoded_and_says_so(whole, ending, extension, share):
    content = whole[extension]
    seconds, [notice] = ending(content[: int(len(content) * share)])
    assert 0.5 < seconds < (VIDEO_SECONDS if extension in VIDEO_FORMATS else SECONDS)
    assert notice.code == TRUNCATED_MEDIA
    assert notice.start == seconds
    assert f"breaks off after {seconds:.2f} s" in notice.message


def test_an_flv_that_breaks_off_between_two_packets_says_so(whole, ending):
    content, end = whole["flv"], 13  # header
    while end < len(content) // 2:
        end += 11 + int.from_bytes(content[end + 1 : end + 4]) + 4  # head of a tag, its data, its size
    _, [notice] = ending(content[:end])
    assert notice.code == TRUNCATED_MEDIA


def test_an_avi_that_breaks_off_within_its_sound_says_so(whole, ending):
    """Its picture and its index come last and are no loss."""
    _, notices = ending(whole["avi"][: len(whole["avi"]) // 2])
    assert [notice.code for notice in notices] == [TRUNCATED_MEDIA]


@pytest.mark.parametrize("extension", ["flac", "m4a"])
def test_the_notice_names_where_the_sound_should_end(whole, ending, extension):
    content = whole[extension]
    _, [notice] = ending(content[: len(content) // 2])
    assert notice.end == pytest.approx(SECONDS, abs=0.2)


OTHER_FORMATS = {
    "aiff": (),
    "au": (),
    "caf": (),
    "w64": (),
    "wv": ("-frame_size", "1024", "-c:a", "wavpack"),
    "ac3": ("-ar", "44100", "-c:a", "ac3"),
}


@pytest.mark.parametrize("extension", OTHER_FORMATS)
def test_other_formats_that_break_off_say_so_too(tmp_path, ending, extension):
    path = tmp_path / f"whole.{extension}"
    run_ffmpeg("-i", str(SPOKEN), *OTHER_FORMATS[extension], str(path))
    content = path.read_bytes()
    assert ending(content)[1] == []
    for share in (0.3, 0.9):
        _, [notice] = ending(content[: int(len(content) * share)])
        assert notice.code == TRUNCATED_MEDIA


UNCOUNTED = {
    "amr": ("-ar", "8000", "-c:a", "libopencore_amrnb", "-f", "amr"),
    "flac": ("-c:a", "flac", "-f", "flac"),
    "ts": ("-c:a", "aac", "-f", "mpegts"),
    "mpg": ("-ar", "48000", "-c:a", "mp2", "-f", "mpeg"),
}


@pytest.mark.parametrize("extension", UNCOUNTED)
def test_formats_that_count_nothing_say_so_if_they_end_within_a_frame_or_packet(ending, extension):
    command = [FFMPEG, "-v", "error", "-i", str(SPOKEN), *UNCOUNTED[extension], "pipe:1"]
    content = subprocess.run(command, capture_output=True, check=True).stdout
    assert ending(content)[1] == []
    for share in (0.3, 0.8):
        seconds, [notice] = ending(content[: int(len(content) * share)])
        assert notice.code == TRUNCATED_MEDIA
        assert notice.start == seconds


TAG = b"ID3\x04\x00\x00\x00\x00\x00\x41" + b"TIT2\x00\x00\x00\x37\x00\x00\x03" + b"A title".ljust(54)


@pytest.mark.parametrize("extension", ["wav", "caf", "w64"])
def test_a_tag_in_front_of_a_file_does_not_hide_that_it_breaks_off(tmp_path, ending, extension):
    path = tmp_path / f"whole.{extension}"
    run_ffmpeg("-i", str(SPOKEN), str(path))
    content = TAG + path.read_bytes()
    assert ending(content)[1] == []
    _, [notice] = ending(content[: len(content) // 2])
    assert notice.code == TRUNCATED_MEDIA


def test_a_compressed_wav_that_lacks_its_last_second_says_so(tmp_path, ending):
    path = tmp_path / "whole.wav"
    run_ffmpeg("-i", str(SPOKEN), "-c:a", "adpcm_ima_wav", str(path))
    assert ending(path.read_bytes())[1] == []
    _, [notice] = ending(path.read_bytes()[:-2000])  # a quarter of a second
    assert notice.code == TRUNCATED_MEDIA


def test_joined_ogg_files_of_which_the_second_cannot_be_read_break_off(tmp_path, ending):
    parts = [tmp_path / name for name in ("mono.ogg", "stereo.ogg")]
    for channels, part in enumerate(parts, start=1):
        run_ffmpeg("-i", str(SPOKEN), "-ac", str(channels), "-c:a", "libvorbis", str(part))
    _, [notice] = ending(b"".join(part.read_bytes() for part in parts))
    assert notice.code == TRUNCATED_MEDIA


# What ffmpeg reads of several recordings that were joined. Of the others it reads the first, and says nothing.
READ_ON = ("mp3", "ogg", "flac", "aac", "webm", "avi", "mkv")
FIRST_ONLY = ("wav", "m4a", "wma", "mp4", "mov", "flv")
FIRST_ONLY_OTHERS = ("caf", "w64", "aiff")


@pytest.mark.parametrize("extension", FIRST_ONLY)
def test_joined_files_of_which_only_the_first_is_read_say_so(whole, ending, extension):
    seconds, [notice] = ending(whole[extension] * 2)
    assert notice.code == TRUNCATED_MEDIA
    assert notice.start == seconds


@pytest.mark.parametrize("extension", FIRST_ONLY_OTHERS)
def test_so_do_those_of_formats_that_are_not_promised(tmp_path, ending, extension):
    path = tmp_path / f"whole.{extension}"
    run_ffmpeg("-i", str(SPOKEN), str(path))
    _, [notice] = ending(path.read_bytes() * 2)
    assert notice.code == TRUNCATED_MEDIA


def wavpack(path, *options):
    """A file with a tag at its end, and its length without it."""
    run_ffmpeg("-i", str(SPOKEN), *options, *OTHER_FORMATS["wv"], str(path))
    return path.read_bytes(), path.read_bytes().index(b"APETAGEX")


def test_a_wavpack_file_behind_the_tag_of_another_is_not_read_and_said(tmp_path, ending):
    content, length = wavpack(tmp_path / "a.wv")
    _, [notice] = ending(content * 2)
    assert notice.code == TRUNCATED_MEDIA
    for end in (b"", b"TAG" + bytes(125), content[length:] * 2, bytes(500)):
        assert ending(content[:length] + end)[1] == []


@pytest.mark.parametrize("second", [("-ac", "2"), ("-ar", "48000")])
def test_a_joined_wavpack_file_that_differs_is_not_read_and_said(tmp_path, ending, second):
    (content, length), (other, _) = (
        wavpack(tmp_path / "a.wv", "-ac", "1", "-ar", "16000"),
        wavpack(tmp_path / "b.wv", "-ac", "1", "-ar", "16000", *second),
    )
    _, [notice] = ending(content[:length] + other)
    assert notice.code == TRUNCATED_MEDIA


def test_joined_wavpack_files_without_tags_are_read_to_their_end(tmp_path, ending):
    content, length = wavpack(tmp_path / "a.wv")
    once, _ = ending(content)
    twice, notices = ending(content[:length] * 2)
    assert (twice, notices) == (pytest.approx(2 * once, abs=0.1), [])


@pytest.mark.parametrize("extension", READ_ON)
def test_joined_files_that_are_read_to_their_end_have_no_notice(whole, ending, extension):
    once, _ = ending(whole[extension])
    twice, notices = ending(whole[extension] * 2)
    assert twice == pytest.approx(2 * once, abs=0.5)
    assert notices == []


@pytest.mark.parametrize("form", [(), ("-ar", "44100", "-ac", "2"), ("-c:a", "pcm_s24le"), ("-c:a", "pcm_mulaw")])
@pytest.mark.parametrize("counted", [0.002, 0.5])
def test_a_wav_whose_header_counts_only_its_first_samples_is_read_to_its_end(tmp_path, ending, form, counted):
    """Recorders write the header anew now and then, and for the last time when they are stopped."""
    run_ffmpeg("-i", str(write_wav(tmp_path / "a.wav", noise(8))), *form, "-bitexact", str(tmp_path / "b.wav"))
    content = (tmp_path / "b.wav").read_bytes()
    place = content.index(b"data") + 4
    (length,) = struct.unpack_from("<I", content, place)
    seconds, notices = ending(content[:place] + struct.pack("<I", int(length * counted)) + content[place + 4 :])
    assert (seconds, notices) == (pytest.approx(8, abs=0.01), [])


@pytest.mark.parametrize("rest", [b"LIST\4\0\0\0INFO", b"id3 \x0a\0\0\0" + bytes(10), bytes(100_000), b"\xff" * 3000])
def test_what_programs_write_behind_the_samples_is_no_notice_and_no_sound(tmp_path, ending, rest):
    content = write_wav(tmp_path / "a.wav", noise(2)).read_bytes()
    assert ending(content + rest) == (2, [])


@pytest.mark.parametrize("before", [b"", b"LIST\4\0\0\0INFO"])
def test_a_chunk_that_is_cut_is_no_sound(tmp_path, ending, before):
    content = write_wav(tmp_path / "a.wav", noise(2)).read_bytes()
    picture = b"id3 " + struct.pack("<I", 500_000) + np.random.default_rng(0).bytes(200_000)
    seconds, [notice] = ending(content + before + picture)
    assert (seconds, notice.code) == (2, TRUNCATED_MEDIA)


def test_samples_that_no_header_counts_may_begin_with_silence(tmp_path, ending):
    samples = np.concatenate((noise(2), np.zeros(16_000, np.int16), noise(2)))
    content = write_wav(tmp_path / "a.wav", samples).read_bytes()
    seconds, notices = ending(content[:40] + struct.pack("<I", 2 * 2 * 16_000) + content[44:])
    assert (seconds, notices) == (5, [])


@pytest.mark.parametrize("second", [("-ar", "44100"), ("-ac", "2", "-ar", "48000"), ("-sample_fmt", "s32")])
def test_joined_flac_files_of_which_the_second_differs_say_what_is_not_read(tmp_path, ending, second):
    parts = [tmp_path / name for name in ("first.flac", "second.flac")]
    for part, form in zip(parts, (("-ar", "16000", "-ac", "1", "-sample_fmt", "s16"), second), strict=True):
        run_ffmpeg("-i", str(SPOKEN), *form, str(part))
    _, [notice] = ending(b"".join(part.read_bytes() for part in parts))
    assert notice.code == TRUNCATED_MEDIA


@pytest.fixture(scope="module")
def fragmented(tmp_path_factory):
    """An MP4 that was recorded live: a fragment for each second."""
    path = tmp_path_factory.mktemp("fragmented") / "live.mp4"
    flags = ("-movflags", "frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "1000000")
    run_ffmpeg("-stream_loop", "3", "-i", str(SPOKEN), "-c:a", "aac", *flags, str(path))
    return path.read_bytes()


def test_a_fragmented_mp4_is_complete_whatever_follows_its_last_fragment(fragmented, ending):
    whole_seconds, notices = ending(fragmented)
    assert notices == []
    for rest in (bytes(4096), noise(1).tobytes(), b"\0\0\0\x08free"):
        assert ending(fragmented + rest) == (whole_seconds, [])


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_fragmented_mp4_that_breaks_off_within_a_fragment_says_so(fragmented, ending, share):
    _, [notice] = ending(fragmented[: int(len(fragmented) * share)])
    assert notice.code == TRUNCATED_MEDIA


@pytest.mark.parametrize("damage", [b"\0", b"\xff", b"x"])
def test_a_fragmented_mp4_that_is_read_up_to_damage_says_so(fragmented, ending, damage):
    middle = fragmented.index(b"moof", len(fragmented) // 2) - 4
    damaged = fragmented[:middle] + damage * 500 + fragmented[middle + 500 :]
    seconds, [notice] = ending(damaged)
    assert notice.code == TRUNCATED_MEDIA
    assert seconds < 7


def test_a_matroska_file_that_is_read_up_to_damage_says_so(tmp_path, ending):
    path = tmp_path / "a.mka"
    run_ffmpeg("-i", str(SPOKEN), "-c:a", "flac", str(path))
    content = path.read_bytes()
    middle = len(content) // 2
    assert ending(content)[1] == []
    _, [notice] = ending(content[:middle] + bytes(2000) + content[middle + 2000 :])
    assert notice.code == TRUNCATED_MEDIA


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory):
    """MP3 without a header that counts its bytes, as streams are recorded."""
    path = tmp_path_factory.mktemp("uncounted") / "stream.mp3"
    run_ffmpeg("-i", str(SPOKEN), "-c:a", "libmp3lame", "-write_xing", "0", str(path))
    return path.read_bytes()


def test_an_mp3_that_counts_nothing_and_ends_with_a_whole_frame_is_complete(uncounted, ending):
    assert ending(uncounted)[1] == []
    assert ending(uncounted + b"TAG" + bytes(125))[1] == []


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_an_mp3_that_counts_nothing_breaks_off_within_a_frame(uncounted, ending, share):
    _, [notice] = ending(uncounted[: int(len(uncounted) * share)])
    assert notice.code == TRUNCATED_MEDIA


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("webm", "libopus"), ("ogg", "libvorbis"), ("flac", "flac"), ("mp3", "libmp3lame")],
)
def test_a_live_recording_whose_header_counts_nothing_is_complete(ending, container, codec):
    command = [FFMPEG, "-v", "error", "-i", str(SPOKEN), "-c:a", codec, "-f", container, "pipe:1"]
    assert ending(subprocess.run(command, capture_output=True, check=True).stdout)[1] == []


def test_a_wav_header_that_is_wrong_by_its_own_length_is_no_notice(tmp_path, ending):
    content = write_wav(tmp_path / "a.wav", noise(2)).read_bytes()
    (length,) = struct.unpack_from("<I", content, 40)
    assert ending(content[:40] + struct.pack("<I", length + 44) + content[44:])[1] == []


@pytest.mark.parametrize("extension", AUDIO_FORMATS)
def test_what_follows_the_end_is_no_notice(whole, ending, extension):
    assert ending(whole[extension] + bytes(1))[1] == []
