"""Media is decoded to 16 kHz mono PCM, and no process is left behind in any case."""

import asyncio
import signal
from contextlib import aclosing, contextmanager
from dataclasses import replace
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import (
    ALL_FORMATS,
    SPOKEN,
    convert,
    media_children,
    noise,
    read_samples,
    run_ffmpeg,
    write_wav,
)
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import (
    AudioTooLong,
    AudioTooShort,
    DecoderFailedOnce,
    ServiceUnavailable,
    UndecodableMedia,
)
from transcription.core.settings import Settings
from transcription.media import decode as decoding
from transcription.media.decode import decode, find_ffmpeg
from transcription.media.intake.containers import DECODERS
from transcription.media.media import Media
from transcription.media.probe import probe


def media_of(path, demuxer="wav") -> Media:
    return Media(FileIO(path), "", path.stat().st_size, demuxer, demuxer, "", 0, None)


@contextmanager
def unconfined():
    """Without the file that the sandbox is for, so that decoders may be scripts that start programs."""
    confined = decoding.confined
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoding, "confined", lambda command, resources, _: confined(command, resources))
        yield


def decoded(media: Media, settings: Settings) -> np.ndarray:
    async def collect() -> np.ndarray:
        return np.concatenate([block async for block in decode(media, settings)])

    return asyncio.run(collect())


@pytest.mark.parametrize("extension", ALL_FORMATS)
def test_every_format_is_decoded(tmp_path, settings, uploaded, extension):
    path = convert(SPOKEN, tmp_path / f"spoken.{extension}")
    media = asyncio.run(probe(uploaded(path), settings))
    samples = decoded(media, settings)
    assert samples.dtype == np.int16
    assert 2.5 < len(samples) / SAMPLE_RATE < 3.6
    assert np.abs(samples).max() > 3000


def test_a_wav_file_is_decoded_sample_for_sample(tmp_path, settings):
    samples = noise(2.5)
    assert np.array_equal(decoded(media_of(write_wav(tmp_path / "a.wav", samples)), settings), samples)


def test_stereo_at_another_rate_becomes_mono_at_16_khz(tmp_path, settings):
    path = tmp_path / "stereo.wav"
    run_ffmpeg("-i", str(SPOKEN), "-ac", "2", "-ar", "44100", str(path))
    samples, reference = decoded(media_of(path), settings), read_samples(SPOKEN)
    assert len(samples) == pytest.approx(len(reference), abs=SAMPLE_RATE // 100)


def test_a_recording_under_a_tenth_of_a_second_is_too_short(tmp_path, settings):
    with pytest.raises(AudioTooShort, match=r"0\.09\d s long"):
        decoded(media_of(write_wav(tmp_path / "a.wav", noise(0.09))), settings)


def test_a_tenth_of_a_second_is_enough(tmp_path, settings):
    assert len(decoded(media_of(write_wav(tmp_path / "a.wav", noise(0.1))), settings)) == 1600


def test_a_recording_above_the_maximum_duration_is_refused_during_decoding(tmp_path, settings):
    limited = settings.model_copy(update={"max_duration": 2})
    with pytest.raises(AudioTooLong, match="longer than 2 s"):
        decoded(media_of(write_wav(tmp_path / "a.wav", noise(10))), limited)
    assert media_children() == []


def test_a_recording_of_exactly_the_maximum_duration_is_accepted(tmp_path, settings):
    limited = settings.model_copy(update={"max_duration": 2})
    assert len(decoded(media_of(write_wav(tmp_path / "a.wav", noise(2))), limited)) == 2 * SAMPLE_RATE


def test_garbage_after_a_valid_header_is_undecodable(tmp_path, settings):
    path = tmp_path / "a.flac"
    path.write_bytes(convert(SPOKEN, tmp_path / "b.flac").read_bytes()[:42] + b"\x00" * 5000)
    with pytest.raises(UndecodableMedia):
        decoded(media_of(path, "flac"), settings)


def test_the_error_does_not_contain_the_path_of_the_file(tmp_path, settings):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    with pytest.raises(UndecodableMedia) as refused:
        decoded(media_of(path, "mov"), settings)
    assert str(tmp_path) not in refused.value.detail


def test_a_truncated_file_is_decoded_up_to_its_end(tmp_path, settings):
    whole = convert(SPOKEN, tmp_path / "whole.mp3").read_bytes()
    path = tmp_path / "half.mp3"
    path.write_bytes(whole[: len(whole) // 2])
    assert 1.0 < len(decoded(media_of(path, "mp3"), settings)) / SAMPLE_RATE < 2.5


def test_a_playlist_reads_no_other_file(tmp_path, settings):
    write_wav(tmp_path / "other.wav", noise(1))
    path = tmp_path / "list"
    path.write_text(f"ffconcat version 1.0\nfile '{tmp_path}/other.wav'\n")
    with pytest.raises(UndecodableMedia):
        decoded(media_of(path, "concat"), settings)


def test_a_url_in_a_playlist_is_not_followed(tmp_path, settings):
    path = tmp_path / "list"
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UndecodableMedia):
        decoded(media_of(path, "hls"), settings)


def test_closing_the_decoder_early_leaves_no_process(tmp_path, settings):
    media = media_of(write_wav(tmp_path / "a.wav", noise(60)))

    async def read_one_block() -> None:
        async with aclosing(decode(media, settings)) as blocks:
            await anext(blocks)

    asyncio.run(read_one_block())
    assert media_children() == []


def test_cancelling_the_decoder_leaves_no_process(tmp_path, settings):
    media = media_of(write_wav(tmp_path / "a.wav", noise(60)))

    async def read_slowly() -> None:
        async with aclosing(decode(media, settings)) as blocks:
            async for _ in blocks:
                await asyncio.sleep(10)

    async def cancel_it() -> None:
        task = asyncio.create_task(read_slowly())
        while not media_children():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancel_it())
    assert media_children() == []


def test_a_slow_reader_pauses_the_decoder(tmp_path, settings):
    """The pipe and the buffer hold a few seconds of PCM; then ffmpeg waits."""
    media = media_of(write_wav(tmp_path / "a.wav", noise(120)))

    async def still_running_after_a_pause() -> bool:
        async with aclosing(decode(media, settings)) as blocks:
            await anext(blocks)
            await asyncio.sleep(0.5)
            return len(media_children()) == 1

    assert asyncio.run(still_running_after_a_pause())


def stop_while_decoding(media: Media, settings: Settings, stop) -> None:
    """Call `stop` with the decoder's process after the first second, then read on."""

    async def read() -> None:
        async with aclosing(decode(media, settings)) as blocks:
            await anext(blocks)
            stop(media_children()[0])
            async for _ in blocks:
                pass

    asyncio.run(read())


@pytest.fixture
def long_media(tmp_path):
    """Longer than the pipe and the buffers hold."""
    return media_of(write_wav(tmp_path / "long.wav", noise(120)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU])
def test_a_decoder_that_is_stopped_is_not_the_end_of_the_file(long_media, settings, number):
    with pytest.raises(ServiceUnavailable, match="was stopped before the end") as stopped:
        stop_while_decoding(long_media, settings, lambda decoder: decoder.send_signal(number))
    assert type(stopped.value) is ServiceUnavailable
    assert media_children() == []


def test_a_decoder_whose_launcher_is_stopped_is_not_the_end_of_the_file(long_media, settings):
    with pytest.raises(ServiceUnavailable):
        stop_while_decoding(long_media, settings, lambda decoder: decoder.parent().kill())


def test_a_decoder_that_crashes_on_a_file_may_be_its_fault(long_media, settings):
    with pytest.raises(DecoderFailedOnce, match="crashed"):
        stop_while_decoding(long_media, settings, lambda decoder: decoder.send_signal(signal.SIGSEGV))


def test_a_decoder_that_stands_still_is_not_the_fault_of_the_file(long_media, settings):
    hasty = settings.model_copy(update={"decode_timeout": 1})
    with pytest.raises(ServiceUnavailable, match="no progress for 1 s") as stalled:
        stop_while_decoding(long_media, hasty, lambda decoder: decoder.suspend())
    assert type(stalled.value) is ServiceUnavailable
    assert media_children() == []


def script(folder: Path, text: str) -> Path:
    """A program in place of ffmpeg."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


SOUND = "head -c 64000 /dev/zero"  # two seconds of silence


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ("exit 255", ServiceUnavailable),  # ffmpeg after SIGTERM
        ("exit 123", ServiceUnavailable),
        ("exit 224", ServiceUnavailable),  # it could not write
        ("exit 244", DecoderFailedOnce),  # ENOMEM
        ("echo '[fc#0 @ 0x1] [error] Error submitting: Cannot allocate memory' >&2; exit 0", DecoderFailedOnce),
    ],
)
def test_an_ending_with_an_error_of_the_service_or_a_limit_delivers_no_transcript(tmp_path, settings, ending, error):
    changed = settings.model_copy(update={"ffmpeg_path": script(tmp_path, f"{SOUND}; {ending}"), "decode_timeout": 2})
    media = replace(media_of(write_wav(tmp_path / "a.wav", noise(4))), stated_end=4.0)
    # No sandbox, so that a shell can run in place of ffmpeg.
    with pytest.raises(ServiceUnavailable) as raised, unconfined():
        decoded(media, changed)
    assert type(raised.value) is error


def test_a_decoder_that_computes_without_an_end_may_be_the_fault_of_the_file(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(decoding, "BUSY_SHARE", 0.0)  # so that the load of the machine does not matter
    changed = settings.model_copy(
        update={"ffmpeg_path": script(tmp_path, f"{SOUND}; while :; do :; done"), "decode_timeout": 2}
    )
    with pytest.raises(DecoderFailedOnce, match="more than 2 s of CPU time"), unconfined():
        decoded(media_of(write_wav(tmp_path / "a.wav", noise(4))), changed)
    assert media_children() == []


def test_a_missing_decoder_is_not_the_fault_of_the_file(tmp_path, settings):
    changed = settings.model_copy(update={"ffmpeg_path": tmp_path / "none"})
    with pytest.raises(ServiceUnavailable, match="was stopped"):
        decoded(media_of(write_wav(tmp_path / "a.wav", noise(1))), changed)


def test_a_file_for_which_there_is_too_little_memory_is_not_undecodable(tmp_path, settings):
    starved = settings.model_copy(update={"decode_memory_limit": 1 << 20})
    with pytest.raises(DecoderFailedOnce):
        decoded(media_of(write_wav(tmp_path / "a.wav", noise(1))), starved)


def test_the_configured_ffmpeg_is_used(settings, tmp_path):
    chosen = settings.model_copy(update={"ffmpeg_path": tmp_path / "ffmpeg"})
    assert find_ffmpeg(chosen) == tmp_path / "ffmpeg"


def test_an_ffmpeg_is_always_found(settings):
    assert find_ffmpeg(settings).is_file()


def test_only_listed_decoders_are_used(tmp_path, settings, monkeypatch):
    path = convert(SPOKEN, tmp_path / "spoken.flac")
    monkeypatch.setattr("transcription.media.intake.containers.DECODERS", "mp3,pcm_s16le")
    with pytest.raises(UndecodableMedia):
        decoded(media_of(path, "flac"), settings)


def test_no_picture_decoder_is_listed():
    assert not {"h264", "mpeg4", "mjpeg", "png", "gif", "vp8", "subrip", "ass"} & set(DECODERS.split(","))


def test_what_was_probed_is_decoded_although_another_file_has_taken_its_place(tmp_path, settings, uploaded):
    """A second user of the machine who can change the name must not choose what is decoded."""
    spoken, path = write_wav(tmp_path / "secret.wav", noise(2)), write_wav(tmp_path / "a.wav", noise(1))
    media = asyncio.run(probe(uploaded(path), settings))
    path.unlink()
    path.symlink_to(spoken)
    assert len(decoded(media, settings)) == SAMPLE_RATE
