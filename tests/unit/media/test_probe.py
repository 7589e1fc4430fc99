"""A file is recognised by its content; its name and declared type must not contradict it."""

import asyncio
import shutil
import signal
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile_files import matroska_of
from tests.support.media_files import ALL_FORMATS, SPOKEN, convert, media_children, noise, silent_movie, write_wav
from transcription.core.errors import (
    AudioTooShort,
    DecoderFailed,
    DecoderFailedOnce,
    NoAudioStream,
    ServiceUnavailable,
    UndecodableMedia,
    UnsupportedFormat,
)
from transcription.media import probe as probing
from transcription.media.intake import containers
from transcription.media.probe import probe
from transcription.media.sandbox.inspect_streams import describe
from transcription.media.sandbox.launcher_protocol import NOT_STARTED, End
from transcription.media.sandbox.process import Process


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The spoken sample in every supported format, by extension."""
    folder = tmp_path_factory.mktemp("formats")
    return {extension: convert(SPOKEN, folder / f"spoken.{extension}") for extension in ALL_FORMATS}


@pytest.fixture
def probed(settings, uploaded):
    def run(path, filename="", content_type=""):
        return asyncio.run(probe(uploaded(path, filename, content_type), settings))

    return run


@pytest.mark.parametrize("extension", ALL_FORMATS)
def test_every_format_is_recognised_without_a_file_name(files, probed, extension):
    media = probed(files[extension])
    assert media.codec
    assert media.duration is None or 2.5 < media.duration < 3.6


@pytest.mark.parametrize("extension", ALL_FORMATS)
def test_every_format_is_accepted_under_its_own_name(files, probed, extension):
    assert probed(files[extension], f"Talk.{extension.upper()}").file.name == files[extension]


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [
        ("mp3", "audio/mpeg"),
        ("mp3", "audio/mp3"),
        ("wav", "audio/x-wav"),
        ("m4a", "audio/x-m4a"),
        ("mov", "video/quicktime"),
        ("webm", "audio/webm;codecs=opus"),
        ("mkv", "video/x-matroska"),
        ("wma", "audio/x-ms-wma"),
        ("ogg", "application/ogg"),
        ("flac", ""),
        ("flac", "application/octet-stream"),
        ("aac", "audio/x-something-new"),
    ],
)
def test_a_matching_generic_or_unknown_type_is_accepted(files, probed, extension, content_type):
    probed(files[extension], f"talk.{extension}", content_type)


@pytest.mark.parametrize("name", ["blob", "", "talk.tmp", "talk.2024"])
def test_a_name_without_a_meaningful_extension_is_accepted(files, probed, name):
    probed(files["mp3"], name)


@pytest.mark.parametrize(
    ("extension", "name"), [("mp3", "talk.wav"), ("wav", "talk.mp3"), ("mp4", "talk.mkv"), ("mp3", "talk.txt")]
)
def test_a_name_that_contradicts_the_content_is_refused(files, probed, extension, name):
    with pytest.raises(UnsupportedFormat, match=r"the file name ends in"):
        probed(files[extension], name)


@pytest.mark.parametrize("content_type", ["audio/wav", "text/plain", "image/png", "application/json"])
def test_a_declared_type_that_contradicts_the_content_is_refused(files, probed, content_type):
    with pytest.raises(UnsupportedFormat, match=f"sent as '{content_type}'"):
        probed(files["mp3"], "talk.mp3", content_type)


def test_a_contradiction_is_no_reason_to_refuse_where_the_operator_says_so(files, settings, uploaded):
    tolerant = settings.model_copy(update={"strict_media_types": False})
    assert asyncio.run(probe(uploaded(files["mp3"], "talk.wav", "text/plain"), tolerant)).format == "MP3"


@pytest.mark.parametrize(
    "content",
    [
        b"just some text, long enough to be read",
        b"%PDF-1.7 ....................................",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"<?xml version='1.0'?><MPD></MPD>",
    ],
)
def test_other_files_are_refused_with_a_list_of_the_formats(tmp_path, probed, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UnsupportedFormat) as refused:
        probed(path)
    assert "mp3, wav, ogg" in refused.value.detail


def test_an_empty_file_is_too_short(tmp_path, probed):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(AudioTooShort, match="empty"):
        probed(path)


def test_a_video_without_sound_is_refused(tmp_path, probed):
    with pytest.raises(
        NoAudioStream, match=r"No audio stream in 'talk.mp4' \(1 video stream\). Send a file with sound."
    ):
        probed(silent_movie(tmp_path / "silent.mp4"), "talk.mp4")


@pytest.mark.parametrize("extension", ["mp4", "flac", "mkv", "wma", "ogg"])
def test_a_header_without_a_body_is_refused(files, tmp_path, probed, extension):
    path = tmp_path / "cut"
    path.write_bytes(files[extension].read_bytes()[:40])
    with pytest.raises(UndecodableMedia):
        probed(path)


def test_a_playlist_disguised_as_a_recording_reads_no_other_file(tmp_path, probed):
    secret = tmp_path / "secret.wav"
    write_wav(secret, noise(1))
    path = tmp_path / "list.mp3"
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x00" + f"#EXTM3U\n#EXTINF:1,\n{secret}\n".encode())
    with pytest.raises((UndecodableMedia, NoAudioStream)):
        probed(path)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000_000])
def test_an_implausible_sample_rate_is_refused(tmp_path, probed, rate):
    path = write_wav(tmp_path / "a.wav", noise(1))
    content = path.read_bytes()
    path.write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])
    with pytest.raises(UndecodableMedia, match=f"sample rate of {rate} Hz; 1000 to 768000 Hz"):
        probed(path)


def test_an_implausible_number_of_channels_is_refused(tmp_path, probed):
    path = write_wav(tmp_path / "a.wav", noise(1))
    content = path.read_bytes()
    path.write_bytes(content[:22] + struct.pack("<H", 200) + content[24:])
    with pytest.raises(UndecodableMedia, match="has 200 channels; up to 64"):
        probed(path)


def test_streams_beyond_the_limit_are_not_inspected(tmp_path):
    path = tmp_path / "streams.mkv"
    path.write_bytes(matroska_of(1000))
    assert len(describe(str(path), "matroska")["streams"]) == containers.MAX_STREAMS


def test_a_stream_of_an_unknown_kind_has_no_rate_and_causes_no_internal_error(tmp_path, probed):
    path = write_wav(tmp_path / "a.wav", noise(1))
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"\xee\xee" + content[22:])  # the format tag of no codec
    with suppress(UndecodableMedia):
        assert probed(path).codec == ""


def test_an_overloaded_machine_is_not_reported_as_a_bad_file(files, probed, monkeypatch):
    monkeypatch.setattr(probing, "ANSWER_SECONDS", 0)
    with pytest.raises(ServiceUnavailable, match="overloaded"):
        probed(files["flac"])


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (End(-signal.SIGKILL), ServiceUnavailable),
        (End(-signal.SIGTERM), ServiceUnavailable),
        (End(NOT_STARTED), ServiceUnavailable),
        (End(-signal.SIGSEGV), DecoderFailedOnce),
        (End(-signal.SIGKILL, probing.INSPECT_SECONDS), DecoderFailedOnce),
    ],
)
def test_an_inspector_that_was_stopped_or_crashed_is_not_an_undecodable_file(files, probed, monkeypatch, end, error):
    async def ended(_):
        return end

    monkeypatch.setattr(Process, "wait", ended)
    with pytest.raises(ServiceUnavailable) as raised:
        probed(files["flac"])
    assert type(raised.value) is error


def test_headers_that_ask_for_too_much_memory_are_not_undecodable(files, probed, monkeypatch):
    async def answer(_):
        return b'{"error": "Cannot allocate memory", "no_memory": true}'

    monkeypatch.setattr(probing, "_read_answer", answer)
    with pytest.raises(DecoderFailed, match="DECODE_MEMORY_LIMIT"):
        probed(files["flac"])


def test_an_allocation_that_fails_in_the_inspector_is_reported(monkeypatch, files):
    def fail(*_):
        raise MemoryError("no memory")

    monkeypatch.setattr("transcription.media.sandbox.inspect_streams.inspect", fail)
    assert describe(str(files["wav"]), "wav") == {"error": "no memory", "no_memory": True}


def test_the_probe_leaves_no_process(files, probed):
    probed(files["mp3"])
    assert media_children() == []


def test_an_mp3_behind_a_long_tag_is_recognised(files, tmp_path, probed):
    path = tmp_path / "tagged.mp3"
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x27\x10" + bytes(0x27 * 128 + 0x10) + files["mp3"].read_bytes())
    assert probed(path).format == "MP3"


def test_a_flac_behind_a_tag_is_still_flac(files, tmp_path, probed):
    path = tmp_path / "tagged.flac"
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x10" + bytes(16) + files["flac"].read_bytes())
    assert probed(path, "a.flac").format == "FLAC"


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_first_bytes_are_a_container_or_none(head, after_tag):
    assert containers.recognise(head, after_tag) in (*containers.ALL, None)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_and_type_can_be_checked(filename, content_type):
    assert isinstance(containers.contradiction(containers.MP3, filename, content_type), str)


def test_a_copy_under_a_path_with_odd_characters_is_read(files, tmp_path, probed):
    path = tmp_path / "a b'c%20:d.bin"
    shutil.copy(files["wav"], path)
    assert probed(path).format == "WAV"
