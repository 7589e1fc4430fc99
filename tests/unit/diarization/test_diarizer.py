"""Who spoke when, with the embedded weights and recordings of people."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.diarization.conftest import Spoken
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import SpeakerOptions
from transcription.diarization.diarizer import Diarization, Diarizer
from transcription.diarization.known import known_voice
from transcription.diarization.sessions import OnnxSpeakerModels

ANY = SpeakerOptions()
# In the conversation: stretches in which one person speaks alone.
FIRST_ALONE, SECOND_ALONE = (14.6, 22.2), (8.3, 14.0)
STEP = 0.01  # seconds, for comparing turns


def told(
    models: OnnxSpeakerModels, samples: NDArray[np.int16], options: SpeakerOptions = ANY, block: int = SAMPLE_RATE
) -> Diarization:
    diarizer = Diarizer(models, options)
    for start in range(0, len(samples), block):
        diarizer.feed(samples[start : start + block])
    return diarizer.finish()


def speech(turns: Iterable[tuple[float, float, object]], seconds: float) -> dict[object, NDArray[np.bool_]]:
    """When each speaker speaks, in steps of 10 ms."""
    times, spoken = np.arange(0, seconds, STEP), {}
    for start, end, speaker in turns:
        spoken[speaker] = spoken.get(speaker, np.zeros(len(times), bool)) | ((times >= start) & (times < end))
    return spoken


@pytest.fixture(scope="module")
def found(models: OnnxSpeakerModels, two_speakers: Spoken) -> Diarization:
    return told(models, two_speakers.samples)


def test_two_people_are_two_speakers(found: Diarization) -> None:
    assert {turn.speaker for turn in found.turns} == {0, 1}
    assert found.voices.shape == (2, 192)
    assert found.names == (None, None)


def test_turns_are_where_people_speak(found: Diarization, two_speakers: Spoken) -> None:
    seconds = len(two_speakers.samples) / SAMPLE_RATE
    truth = speech(two_speakers.truth, seconds)
    heard = speech([(turn.start, turn.end, turn.speaker) for turn in found.turns], seconds)
    # In the truth, 1272 speaks first.
    wrong = sum((truth[name] != heard[number]).sum() for number, name in enumerate(("1272", "2412")))
    assert wrong <= 0.08 * sum(each.sum() for each in truth.values())


def test_both_speak_where_they_overlap(found: Diarization, two_speakers: Spoken) -> None:
    heard = speech([(turn.start, turn.end, turn.speaker) for turn in found.turns], 10)
    both = heard[0] & heard[1]
    assert both[int(4.0 / STEP)]
    assert not both[int(2.0 / STEP)]


def test_speakers_are_numbered_by_first_appearance(found: Diarization) -> None:
    assert [turn.speaker for turn in found.turns[:2]] == [0, 1]
    assert [turn.start for turn in found.turns] == sorted(turn.start for turn in found.turns)


@pytest.mark.parametrize("block", [1600, 7 * SAMPLE_RATE, 10**9])
def test_blocks_of_the_sound_make_no_difference(
    models: OnnxSpeakerModels, two_speakers: Spoken, found: Diarization, block: int
) -> None:
    assert told(models, two_speakers.samples, block=block).turns == found.turns


def test_one_person_is_one_speaker(models: OnnxSpeakerModels, two_speakers: Spoken) -> None:
    alone = np.concatenate([two_speakers.cut(*FIRST_ALONE), two_speakers.cut(29.1, 35.0)])
    assert {turn.speaker for turn in told(models, alone).turns} == {0}


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 12.0, 31.0])
def test_silence_has_no_speakers(models: OnnxSpeakerModels, seconds: float) -> None:
    result = told(models, np.zeros(int(seconds * SAMPLE_RATE), np.int16))
    assert (result.turns, result.names, len(result.voices)) == ((), (), 0)


def test_noise_has_no_speakers(models: OnnxSpeakerModels) -> None:
    noise = np.random.default_rng(0).normal(0, 300, 15 * SAMPLE_RATE).astype(np.int16)
    assert told(models, noise).turns == ()


def test_music_has_no_speakers(models: OnnxSpeakerModels) -> None:
    times = np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE
    chords = sum(np.sin(2 * np.pi * hertz * times) for hertz in (220, 277, 330)) * np.exp(-3 * (times % 0.5))
    assert told(models, (3000 * chords).astype(np.int16)).turns == ()


@pytest.mark.parametrize("options", [SpeakerOptions(num_speakers=5), SpeakerOptions(min_speakers=50)])
def test_more_speakers_than_there_are_voices_are_not_invented(
    models: OnnxSpeakerModels, two_speakers: Spoken, options: SpeakerOptions
) -> None:
    assert {turn.speaker for turn in told(models, two_speakers.cut(9.0, 10.0), options).turns} == {0}
    assert told(models, np.zeros(2 * SAMPLE_RATE, np.int16), options).turns == ()


def test_a_word_is_a_turn(models: OnnxSpeakerModels, two_speakers: Spoken) -> None:
    assert len(told(models, two_speakers.cut(9.0, 10.0)).turns) == 1


def test_the_number_of_speakers_may_be_given(models: OnnxSpeakerModels, two_speakers: Spoken) -> None:
    result = told(models, two_speakers.samples, SpeakerOptions(num_speakers=1))
    assert {turn.speaker for turn in result.turns} == {0}


def test_known_speakers_get_their_names(models: OnnxSpeakerModels, two_speakers: Spoken) -> None:
    known = (
        known_voice("Bo", two_speakers.cut(*SECOND_ALONE), models),
        known_voice("Ann", two_speakers.cut(*FIRST_ALONE), models),
    )
    result = told(models, two_speakers.samples, SpeakerOptions(known=known))
    assert result.names == ("Ann", "Bo")


def test_a_person_who_is_not_in_the_recording_names_no_one(models: OnnxSpeakerModels, two_speakers: Spoken) -> None:
    known = (known_voice("Bo", two_speakers.cut(*SECOND_ALONE), models),)
    assert told(models, two_speakers.cut(*FIRST_ALONE), SpeakerOptions(known=known)).names == (None,)


@pytest.mark.parametrize(("seconds", "length"), [(1.5, "1.5 s long"), (11.0, "longer than 10 s")])
def test_a_sample_of_the_wrong_length_is_refused(
    models: OnnxSpeakerModels, two_speakers: Spoken, seconds: float, length: str
) -> None:
    with pytest.raises(InvalidParameter, match=f"'Ann' is {length}") as error:
        known_voice("Ann", two_speakers.cut(14.6, 14.6 + seconds), models)
    assert error.value.parameter == "known_speaker_references"


def test_a_sample_without_speech_is_refused(models: OnnxSpeakerModels) -> None:
    with pytest.raises(InvalidParameter, match=r"'Ann' has 0\.0 s of speech"):
        known_voice("Ann", np.zeros(5 * SAMPLE_RATE, np.int16), models)
