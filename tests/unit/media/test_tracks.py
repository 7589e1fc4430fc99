"""Of several audio tracks the default one is transcribed, or the first that has sound."""

import asyncio

import numpy as np
import pytest

from tests.support.media_files import RATE, media_children, noise, run_ffmpeg, write_wav
from transcription.core.errors import InvalidParameter
from transcription.core.options import SoundOptions
from transcription.core.transcript import OTHER_AUDIO_TRACKS
from transcription.media import tracks
from transcription.media.open import open_media
from transcription.media.tracks import track_notices

ANY = SoundOptions()
SILENCE = np.zeros(2 * RATE, np.int16)
SOUND = noise(2.0)
QUIET = noise(2.0, loudness=8.0)  # 72 dB below full scale


@pytest.fixture
def film(tmp_path):
    """A file with one audio track for each of these signals, and the tracks that are marked as default."""

    def make(*signals, default=(), extension="mkv", tags=()):
        inputs, options = [], []
        for number, samples in enumerate(signals):
            inputs += ["-i", str(write_wav(tmp_path / f"{number}.wav", samples))]
            options += ["-map", str(number), f"-disposition:a:{number}", "default" if number + 1 in default else "0"]
        for number, (name, value) in enumerate(tags):
            options += [f"-metadata:s:a:{number}", f"{name}={value}"]
        path = tmp_path / f"film.{extension}"
        codec = ("-c:a", "flac", "-default_mode", "passthrough") if extension == "mkv" else ("-c:a", "aac")
        run_ffmpeg(*inputs, *options, *codec, str(path))
        return path

    return make


@pytest.fixture
def opened(settings, uploaded):
    return lambda path, sound=ANY: asyncio.run(open_media(uploaded(path), sound, settings))


def number(media):
    return next(track.number for track in media.tracks if track.index == media.stream_index)


def test_the_default_track_is_chosen(film, opened):
    assert number(opened(film(SOUND, SOUND, SOUND, default=(2,)))) == 2


def test_without_a_default_the_first_is_chosen(film, opened):
    assert number(opened(film(SOUND, SOUND))) == 1


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_a_silent_default_track_is_passed_over(film, opened, extension):
    assert number(opened(film(SILENCE, SOUND, default=(1,), extension=extension))) == 2


def test_a_very_quiet_track_is_not_silent(film, opened):
    assert number(opened(film(SILENCE, QUIET, default=(1,)))) == 2
    assert number(opened(film(QUIET, SILENCE, QUIET, default=(1,)))) == 1


def test_a_default_track_with_nothing_but_the_hiss_of_an_unused_input_is_passed_over(film, opened):
    assert number(opened(film(QUIET, SOUND, default=(1,)))) == 2


def test_a_default_track_with_nothing_but_a_constant_offset_is_passed_over(film, opened):
    offset = np.full(2 * RATE, 2000, np.int16)
    assert number(opened(film(offset, SOUND, default=(1,)))) == 2
    assert number(opened(film(offset, SOUND + np.int16(2000), default=(1,)))) == 2


def test_a_track_whose_sound_begins_late_is_not_silent(film, opened):
    late = np.concatenate([np.zeros(60 * RATE, np.int16), SOUND])
    assert number(opened(film(late, SOUND, default=(1,)))) == 1


def test_of_silent_tracks_the_default_is_chosen(film, opened):
    assert number(opened(film(SILENCE, SILENCE, default=(2,)))) == 2


def test_a_track_that_cannot_be_decoded_is_passed_over(film, opened, monkeypatch):
    path = film(SOUND, SOUND, default=(1,))
    monkeypatch.setattr("transcription.media.intake.containers.DECODERS", "flac")
    content = path.read_bytes()
    place = content.index(b"A_FLAC")
    path.write_bytes(content[:place] + b"A_NONE" + content[place + 6 :])
    assert number(opened(path)) == 2


def test_a_named_track_is_used_though_it_is_silent(film, opened):
    assert number(opened(film(SOUND, SILENCE, default=(1,)), SoundOptions(audio_track=2))) == 2


def test_a_track_that_the_file_does_not_have_is_refused_with_a_list(film, opened):
    path = film(SOUND, SOUND, tags=[("language", "ger"), ("language", "eng")])
    with pytest.raises(InvalidParameter, match=r"no audio track 3. It has: track 1 \(ger\), track 2 \(eng\)"):
        opened(path, SoundOptions(audio_track=3))


def test_the_other_tracks_are_named_in_a_notice(film, opened):
    media = opened(film(SOUND, SOUND, default=(2,), tags=[("language", "ger"), ("title", "Original")]))
    [notice] = track_notices(media, ANY)
    assert notice.code == OTHER_AUDIO_TRACKS
    assert "track 2 ('Original') was transcribed. Not transcribed: track 1 (ger)" in notice.message


def test_there_is_no_notice_for_one_track_or_a_named_one(film, opened):
    assert track_notices(opened(film(SOUND)), ANY) == []
    chosen = SoundOptions(audio_track=1)
    assert track_notices(opened(film(SOUND, SOUND), chosen), chosen) == []


def test_a_file_with_one_track_is_not_decoded_to_choose_it(film, opened, monkeypatch):
    path = film(SILENCE)
    monkeypatch.setattr(tracks, "decode", None)
    assert number(opened(path)) == 1


def test_hours_of_silence_do_not_take_longer_than_is_allowed(film, opened, monkeypatch, settings):
    media = opened(film(SILENCE, SOUND, default=(1,)), SoundOptions(audio_track=1))

    async def never(*_):
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(tracks, "decode", never)
    hurried = settings.model_copy(update={"decode_timeout": 0})
    assert number(asyncio.run(tracks.choose_track(media, ANY, hurried))) == 1


def test_choosing_leaves_no_process(film, opened):
    opened(film(SILENCE, SOUND))
    assert media_children() == []


def test_a_tag_cannot_break_a_line_of_the_message(film, opened):
    media = opened(film(SOUND, SOUND, tags=[("title", "a\nb" * 100)]))
    assert "\n" not in media.tracks[0].title
    assert len(media.tracks[0].title) <= 60
