"""Live audio of the command: what it refuses, reads, records and shows."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.cli.live import check_live
from transcription.cli.live_engine import Complete, Heard, Problem
from transcription.cli.live_input import PcmReader, wav_format
from transcription.cli.live_remote import address_of, event_of, start_message
from transcription.cli.live_text import TENTATIVE_STYLE, LiveText
from transcription.cli.microphone import devices_for
from transcription.cli.options import LEAST_RATE, MOST_RATE
from transcription.cli.transcriber import RecordingFailed
from transcription.live import pcm

CHOICES: dict[str, Any] = {"microphone": None, "stdout": False, "output_dir": None, "formats": ("text",)}
DEVICES = " D  alsa            ALSA audio input\n DE pulse           Pulse audio\n  E oss   OSS output"


def wav(samples: np.ndarray, channels: int = 1, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def read(data: bytes, sizes: list[int]) -> np.ndarray:
    """What the reader makes of the data in blocks of these sizes, and then the rest."""
    reader = PcmReader(16_000)
    converted = b""
    for size in sizes:
        converted += reader.convert(data[:size])
        data = data[size:]
    return np.frombuffer(converted + reader.convert(data), "<i2")


@given(st.lists(st.integers(-32768, 32767), min_size=10), st.lists(st.integers(0, 30)), st.booleans())
def test_samples_arrive_whole_however_the_pipe_cuts_them(
    values: list[int], sizes: list[int], with_header: bool
) -> None:
    samples = np.array([1, 2, 3, 4, 5, 6, *values])  # begins like no container
    data = wav(samples) if with_header else samples.astype("<i2").tobytes()
    assert read(data, sizes).tolist() == samples.tolist()


def test_channels_of_a_wav_stream_are_mixed_and_other_chunks_skipped() -> None:
    data = wav(np.array([10, 20, 30, 50]), channels=2)
    data = data[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + data[36:]
    assert read(data, [5, 20]).tolist() == [15, 40]


def test_the_rate_of_a_wav_stream_is_that_of_its_header() -> None:
    found = wav_format(wav(np.zeros(1), rate=8_000))
    assert found is not None
    assert found[0].rate == 8_000


@pytest.mark.parametrize("head", [b"OggS", b"fLaC", b"ID3\4", b"\x1aE\xdf\xa3", b"\0\0\0\x20ftypM4A "])
def test_a_compressed_file_is_refused_with_the_way_to_decode_it(head: bytes) -> None:
    with pytest.raises(RecordingFailed, match=r"ffmpeg -i FILE -f wav - \| transcribe live"):
        PcmReader(16_000).convert(head.ljust(12, b"\0"))


def test_a_wav_stream_of_other_samples_is_refused() -> None:
    data = bytearray(wav(np.zeros(4)))
    data[34] = 24  # bits of a sample
    with pytest.raises(RecordingFailed, match="pcm_s16le"):
        PcmReader(16_000).convert(bytes(data))


def test_the_rates_of_the_option_are_those_of_the_converter() -> None:
    assert (LEAST_RATE, MOST_RATE) == (pcm.LEAST_RATE, pcm.MOST_RATE)


@pytest.mark.parametrize(
    ("platform", "demuxers", "demuxer", "source"),
    [
        ("linux", DEVICES, "pulse", "default"),
        ("linux", " D  alsa   ALSA", "alsa", "default"),
        ("darwin", " D  avfoundation   AVFoundation", "avfoundation", ":default"),
    ],
)
def test_the_microphone_is_that_of_the_platform(platform: str, demuxers: str, demuxer: str, source: str) -> None:
    device = devices_for(platform, "default", demuxers)
    assert (device.demuxer, device.source) == (demuxer, source)


def test_an_ffmpeg_that_cannot_record_is_named_with_what_to_install() -> None:
    with pytest.raises(RecordingFailed, match=r"no input device alsa\. Install your system's ffmpeg"):
        devices_for("linux", "default", "  E alsa   ALSA audio output")
    with pytest.raises(RecordingFailed, match="Name one with --microphone NAME"):
        devices_for("win32", "default", " D  dshow  DirectShow")


@pytest.mark.parametrize(
    ("files", "parameters", "more", "message"),
    [
        (("talk.mp3",), {}, {}, "Give files without `live`"),
        ((), {}, {"terminal": True}, "Nothing to listen to"),
        (("-",), {}, {"microphone": "default"}, "either - or --microphone"),
        ((), {"num_speakers": "2"}, {}, "no num_speakers"),
        ((), {"max_speakers": "two"}, {}, "max_speakers takes a positive whole number, not 'two'"),
        ((), {"beam_size": "2.5"}, {}, "beam_size takes a positive whole number"),
        ((), {"diarize": "yse"}, {}, "diarize takes true or false, not 'yse'"),
        ((), {}, {"stdout": True}, "Leave out --stdout"),
        ((), {}, {"formats": ("srt",)}, "-o ."),
    ],
)
def test_what_live_audio_does_not_have_is_refused(
    files: tuple[str, ...], parameters: dict[str, str], more: dict[str, Any], message: str
) -> None:
    is_terminal = more.pop("terminal", False)
    with pytest.raises(click.UsageError, match=message):
        check_live(files, parameters, {**CHOICES, **more}, is_terminal=is_terminal)


@pytest.mark.parametrize(
    ("value", "meant"), [("True", True), ("YES", True), ("1", True), ("False", False), ("off", False)]
)
def test_a_flag_is_understood_in_any_case(value: str, meant: bool) -> None:
    check_live((), {"diarize": value}, CHOICES, is_terminal=False)
    assert start_message({"diarize": value})["diarize"] is meant


def test_confirmed_text_stays_and_tentative_text_is_grey_and_replaced() -> None:
    text = LiveText()
    assert text.add(Heard(1, " good", " mourning")) == ""
    text.add(Heard(1, " morning", " anna"))
    shown = text.shown(80, 24)
    assert shown.plain == "good morning anna"
    assert [shown.plain[span.start : span.end] for span in shown.spans if span.style == TENTATIVE_STYLE] == [" anna"]
    assert text.add(Complete(1, "good morning, Anna")) == "good morning, Anna"
    assert text.shown(80, 24).plain == ""


def test_what_was_confirmed_of_an_utterance_that_fails_stands() -> None:
    text = LiveText()
    text.add(Heard(1, " good morning", " anna"))
    assert text.add(Problem("The model has stopped.", 1)) == "good morning"
    assert text.add(Problem("The frame was ignored.")) == ""


def test_of_long_speech_the_end_is_shown() -> None:
    text = LiveText()
    text.add(Heard(1, "abc" * 100, "end"))
    assert text.shown(10, 4).plain == ("abc" * 100 + "end")[-20:]


def test_the_messages_of_the_server_are_events() -> None:
    partial = {"type": "partial", "utterance": 2, "confirmed": " a", "tentative": " b", "start": 0, "end": 1}
    assert event_of(partial) == Heard(2, " a", " b")
    assert event_of({"type": "final", "utterance": 2, "text": "a b"}) == Complete(2, "a b")
    told_apart = [{"text": "a", "speaker": "Ann"}, {"text": "b", "speaker": "Ann"}, {"text": "c", "speaker": "Bo"}]
    final = {"type": "final", "utterance": 2, "text": "a b c", "segments": told_apart}
    assert event_of(final) == Complete(2, "Ann: a b\nBo: c")
    assert event_of({"type": "error", "error": "x", "message": "No."}) == Problem("No.")
    assert event_of({"type": "speech", "utterance": 2, "state": "started", "at": 0}) is None


def test_the_session_starts_with_the_options_of_the_command() -> None:
    parameters = {"language": "de", "beam_size": "2", "timestamp_granularity": "word"}
    assert start_message(parameters) == {"type": "start", "words": True, "language": "de", "beam_size": 2}
    assert start_message({"diarize": "true", "max_speakers": "2"})["diarize"] is True
    assert start_message({"diarize": "true", "max_speakers": "2"})["max_speakers"] == 2
    assert address_of("https://host:1/") == "wss://host:1/live"
