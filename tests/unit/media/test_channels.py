"""Both channels of a stereo recording are heard, also when they cancel each other in the sum."""

import asyncio
import struct

import numpy as np
import pytest

from tests.support.media_files import RATE, SPOKEN, noise, read_samples, run_ffmpeg
from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import Channel
from transcription.media.channels import mix, mix_all
from transcription.media.decode import decode
from transcription.media.probe import probe

VOICE = read_samples(SPOKEN)
PCM = bytes.fromhex("0100000000001000800000aa00389b71")  # the GUID of the format


@pytest.fixture
def decoded(settings, uploaded):
    """What is decoded of a file."""

    def run(path, channel=Channel.MIX):
        async def collect():
            media = await probe(uploaded(path), settings)
            return np.concatenate([block async for block in decode(media, settings, channel=channel)])

        return asyncio.run(collect()).astype(int)

    return run


@pytest.fixture
def heard(decoded, tmp_path):
    """What is decoded of a file with these channels."""

    def run(*channels, channel=Channel.MIX, codec=("-c:a", "flac"), name="file.flac"):
        raw = tmp_path / "raw"
        raw.write_bytes(np.stack(channels, axis=1).astype(np.int16).tobytes())
        source = ("-f", "s16le", "-ar", str(RATE), "-ac", str(len(channels)), "-i", str(raw))
        run_ffmpeg(*source, *codec, str(tmp_path / name))
        return decoded(tmp_path / name, channel)

    return run


def level(samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(float)))))


@pytest.mark.parametrize("share", [1.0, 0.9, 0.8])
def test_inverted_channels_are_heard(heard, share):
    assert level(heard(VOICE, -share * VOICE)) > 0.8 * level(VOICE)


def test_inverted_channels_are_heard_through_a_lossy_codec(heard):
    codec = ("-c:a", "libvorbis", "-q:a", "6")
    assert level(heard(VOICE, -VOICE.astype(int), codec=codec, name="file.ogg")) > 0.8 * level(VOICE)


def test_equal_channels_are_as_loud_as_one(heard):
    assert np.abs(heard(VOICE, VOICE) - VOICE).max() <= 1


def test_different_channels_are_mixed(heard):
    other = noise(len(VOICE) / SAMPLE_RATE, loudness=3000)[: len(VOICE)]
    assert np.abs(heard(VOICE, other) - (VOICE.astype(int) + other) / 2).max() <= 1


def test_a_voice_in_one_channel_is_mixed(heard):
    assert level(heard(VOICE, 0 * VOICE)) == pytest.approx(level(VOICE) / 2, rel=0.01)


@pytest.mark.parametrize(("channel", "expected"), [(Channel.LEFT, 0), (Channel.RIGHT, 1)])
def test_one_channel_is_chosen(heard, channel, expected):
    channels = VOICE, noise(len(VOICE) / SAMPLE_RATE, loudness=3000)[: len(VOICE)]
    assert np.array_equal(heard(*channels, channel=channel), channels[expected])


@pytest.mark.parametrize("channel", Channel)
def test_a_mono_recording_has_one_channel_to_choose(heard, channel):
    assert np.array_equal(heard(VOICE, channel=channel), VOICE)


@pytest.mark.parametrize("count", [3, 4, 6, 8, 12])
@pytest.mark.parametrize("channel", Channel)
def test_recordings_with_more_channels_are_heard(heard, count, channel):
    channels = [VOICE] * count
    assert level(heard(*channels, channel=channel, codec=("-c:a", "pcm_s16le"), name="file.wav")) > 0.3 * level(VOICE)


def wav_with_mask(path, channels, mask):
    """A WAV file whose header gives the channels these positions, one bit for each; 0 for none."""
    count, frames = len(channels), np.stack(channels, axis=1).astype(np.int16).tobytes()
    kind = struct.pack("<HHIIHHHHI", 0xFFFE, count, RATE, 2 * count * RATE, 2 * count, 16, 22, 16, mask)
    header = b"RIFF" + struct.pack("<I", len(frames) + 60) + b"WAVEfmt " + struct.pack("<I", 40) + kind + PCM
    path.write_bytes(header + b"data" + struct.pack("<I", len(frames)) + frames)
    return path


@pytest.mark.parametrize("mask", [0x3, 0x0, 0x30, 0x600, 0x9, 0xC, 0x40000000], ids=hex)
@pytest.mark.parametrize("place", [0, 1])
def test_a_voice_in_one_of_two_channels_is_heard_whatever_their_positions(decoded, tmp_path, mask, place):
    channels = [0 * VOICE, 0 * VOICE]
    channels[place] = VOICE
    assert level(decoded(wav_with_mask(tmp_path / "a.wav", channels, mask))) == pytest.approx(
        level(VOICE) / 2, rel=0.01
    )


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8, 9, 16])
def test_a_voice_in_any_of_several_channels_without_positions_is_heard(decoded, tmp_path, count):
    for place in range(count):
        channels = [0 * VOICE] * count
        channels[place] = VOICE
        sound = decoded(wav_with_mask(tmp_path / "a.wav", channels, 0))
        assert level(sound) == pytest.approx(level(VOICE) / count, rel=0.02)


@pytest.mark.parametrize(("left", "right"), [(9000, -9000), (9000, 0), (9000, 9000)])
def test_a_constant_offset_of_the_channels_is_no_sound(heard, left, right):
    quiet = VOICE.astype(int) // 10
    sound = heard(quiet + left, quiet + right)
    assert level(sound - sound.mean()) > 0.8 * level(quiet)


def test_a_block_without_sound_stays_without():
    assert not mix(np.zeros(200, np.int16)).any()


def test_the_mix_of_a_stereo_recording_is_ffmpegs(heard, tmp_path):
    other = noise(len(VOICE) / SAMPLE_RATE, loudness=3000)[: len(VOICE)]
    ours = heard(VOICE, other, codec=("-ar", "44100", "-c:a", "libmp3lame"), name="file.mp3")
    theirs = read_samples(tmp_path / "file.mp3").astype(int)
    assert np.abs(ours - theirs).max() <= 2


@pytest.mark.parametrize(
    "signs",
    [
        (1, -1, 1),
        (1, -1, 1, -1),
        (1, -1, -1, 1),
        (0, 0, 1, -1),
        (1, -1, 0, 0, 0, 0),
        (1, -1) * 4,
        (1, -1) * 5,
        (1, 1, -1) * 4,
        (1, -1) * 8,
    ],
)
def test_inverted_channels_of_several_without_positions_are_heard(decoded, tmp_path, signs):
    path = wav_with_mask(tmp_path / "a.wav", [sign * VOICE for sign in signs], 0)
    assert level(decoded(path)) > 0.8 * level(VOICE) * sum(map(abs, signs)) / len(signs)


def test_the_mix_does_not_turn_round_from_block_to_block():
    voice = noise(1, loudness=3000)
    for louder in (2.0, 0.5):
        mixed = mix_all(np.stack([voice, -louder * voice, 0 * voice], axis=1).astype(np.int16).reshape(-1), 3)
        assert np.corrcoef(mixed, voice)[0, 1] > 0.99


def test_a_block_of_several_channels_without_sound_stays_without():
    assert not mix_all(np.zeros(400, np.int16), 4).any()
    assert len(mix_all(np.zeros(0, np.int16), 4)) == 0
