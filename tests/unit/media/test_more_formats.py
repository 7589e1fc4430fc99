"""Formats that are not promised, and usual second endings, are decoded; time in them is the file's."""

import asyncio
import mimetypes
import struct
from contextlib import suppress

import numpy as np
import pytest

from tests.support.media_files import RATE, SPOKEN, read_samples, run_ffmpeg
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import UndecodableMedia, UnsupportedFormat
from transcription.core.options import SoundOptions
from transcription.media.decode import decode
from transcription.media.intake import containers
from transcription.media.open import open_media
from transcription.media.probe import probe

PICTURE = ("-f", "lavfi", "-i", "color=black:size=64x48:rate=25:duration=3")
VIDEO = ("-c:v", "mpeg2video")
SOUND_ONLY = {
    "amr": ("-ar", "8000", "-c:a", "libopencore_amrnb"),
    "aiff": (),
    "aif": ("-c:a", "pcm_s24be", "-f", "aiff"),
    "caf": (),
    "au": (),
    "snd": ("-f", "au", "-c:a", "pcm_mulaw"),
    "ac3": ("-c:a", "ac3"),
    "eac3": ("-c:a", "eac3"),
    "wv": ("-frame_size", "4096", "-c:a", "wavpack"),
    "mp2": ("-c:a", "mp2"),
    "mpga": ("-f", "mp3"),
    "mpeg": ("-f", "mp3"),
    "ts": ("-c:a", "aac"),
    "m4b": ("-c:a", "aac", "-f", "mp4"),
    "m4r": ("-c:a", "alac", "-f", "ipod"),
    "3gp": ("-ar", "8000", "-c:a", "libopencore_amrnb"),
    "3g2": ("-c:a", "aac"),
    "w64": (),
    "opus": ("-c:a", "libopus"),
    "oga": ("-c:a", "flac", "-f", "ogg"),
    "mka": ("-c:a", "ac3"),
    "weba": ("-c:a", "libopus", "-f", "webm"),
    "wave": ("-c:a", "adpcm_ima_wav", "-f", "wav"),
    "adts": ("-c:a", "aac", "-f", "adts"),
}
WITH_PICTURES = {
    "mpg": (*VIDEO, "-c:a", "mp2"),
    "mpeg": (*VIDEO, "-c:a", "mp2", "-f", "mpeg"),
    "vob": (*VIDEO, "-c:a", "ac3"),
    "ts": (*VIDEO, "-c:a", "aac"),
    "m2ts": (*VIDEO, "-c:a", "ac3"),
    "mts": (*VIDEO, "-c:a", "mp2", "-f", "mpegts", "-mpegts_m2ts_mode", "1"),
    "3gp": ("-c:v", "mpeg4", "-c:a", "aac"),
    "mov": (*VIDEO, "-c:a", "pcm_s16be"),
    "m4v": ("-c:v", "mpeg4", "-c:a", "aac", "-f", "mp4"),
}


@pytest.fixture
def made(tmp_path):
    def make(extension, *options, pictures=False, source=SPOKEN):
        path = tmp_path / f"talk.{extension}"
        inputs = (*PICTURE, "-i", str(source), "-map", "0:v", "-map", "1:a") if pictures else ("-i", str(source), "-vn")
        run_ffmpeg(*inputs, *(WITH_PICTURES if pictures else SOUND_ONLY)[extension], *options, str(path))
        return path

    return make


@pytest.fixture
def heard(settings, uploaded):
    def run(path, name="", content_type=""):
        async def collect():
            media = await open_media(uploaded(path, name, content_type), SoundOptions(), settings)
            return np.concatenate([block async for block in decode(media, settings)])

        return asyncio.run(collect())

    return run


def assert_spoken(samples):
    assert 2.5 < len(samples) / SAMPLE_RATE < 3.8
    assert np.abs(samples.astype(int)).max() > 3000


@pytest.mark.parametrize("extension", SOUND_ONLY)
def test_sound_is_decoded_under_its_name_and_the_type_that_systems_give_it(made, heard, extension):
    path = made(extension)
    assert_spoken(heard(path, path.name, mimetypes.guess_type(path.name)[0] or ""))


@pytest.mark.parametrize("extension", WITH_PICTURES)
def test_the_sound_of_a_video_is_decoded(made, heard, extension):
    path = made(extension, pictures=True)
    assert_spoken(heard(path, path.name, mimetypes.guess_type(path.name)[0] or ""))


@pytest.mark.parametrize("extension", ["ts", "m2ts", "mpg", "vob"])
@pytest.mark.parametrize("offset", [0, 5000, 90_000])
def test_time_in_a_broadcast_begins_where_the_file_does(made, heard, extension, offset, tmp_path):
    """Sound starts a second after the pictures, whatever the first timestamp is."""
    path = tmp_path / f"late.{extension}"
    sound = ("-itsoffset", "1", "-i", str(SPOKEN), "-map", "0:v", "-map", "1:a")
    run_ffmpeg(*PICTURE, *sound, *WITH_PICTURES[extension], "-output_ts_offset", str(offset), str(path))
    samples, reference = heard(path), read_samples(SPOKEN)
    onset, expected = (int(np.flatnonzero(np.abs(each.astype(int)) > 1000)[0]) for each in (samples, reference))
    assert (onset - expected) / RATE == pytest.approx(1.0, abs=0.1)


def test_a_transport_stream_that_was_cut_inside_a_packet_is_decoded(made, heard, tmp_path):
    path = tmp_path / "cut.ts"
    path.write_bytes(made("ts", pictures=True).read_bytes()[100:])
    assert_spoken(heard(path))


@pytest.mark.parametrize("extension", ["wave", "opus", "ac3", "amr", "mka"])
def test_a_tag_in_front_of_any_format_is_passed_over(made, heard, tmp_path, extension):
    path = tmp_path / f"tagged.{extension}"
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x10\x00" + bytes(2048) + made(extension).read_bytes())
    assert_spoken(heard(path, path.name))


@pytest.mark.parametrize("demuxer", [each.demuxer for each in containers.ALL])
def test_no_demuxer_reads_playlists(demuxer):
    assert demuxer not in {"hls", "concat", "dash", "sdp", "imf", "applehttp", "webm_dash_manifest", "image2"}


@pytest.mark.parametrize("extension", SOUND_ONLY)
def test_damage_is_refused_or_decoded(made, settings, uploaded, tmp_path, extension):
    content = bytearray(made(extension).read_bytes())
    for place in range(20, len(content), 97):
        content[place] ^= 0x55
    path = tmp_path / "damaged"
    path.write_bytes(content)

    async def collect():
        media = await probe(uploaded(path), settings)
        return [len(block) async for block in decode(media, settings)]

    with suppress(UndecodableMedia, UnsupportedFormat):
        assert sum(asyncio.run(collect()))


def test_a_text_in_typescript_is_no_transport_stream():
    assert containers.recognise(b"const G = 1;\n" * 100) is None


def test_a_wav_with_sizes_of_64_bits_is_decoded(tmp_path, heard):
    """ITU-R BS.2088, the successor of RF64."""
    samples = read_samples(SPOKEN)
    data = samples.tobytes()
    sizes = b"ds64" + struct.pack("<IQQQI", 28, len(data) + 72, len(data), len(samples), 0)
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    path = tmp_path / "talk.wav"
    path.write_bytes(b"BW64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff" + data)
    assert np.array_equal(heard(path, "talk.wav", "audio/wav"), samples)
