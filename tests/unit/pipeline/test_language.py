"""The language of a file: of its first window, of the second in doubt, or of each window."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from tests.support.media_files import SPOKEN, noise, read_samples, write_wav
from tests.support.scripted_runner import ScriptedRunner, as_test
from tests.unit.pipeline.conftest import EVERYTHING
from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.options import DecodeOptions, EncoderContext, TranscriptionRequest
from transcription.core.transcript import PlacedResult, WindowResult
from transcription.pipeline.assemble import main_language
from transcription.pipeline.transcribe import Pipeline


def test_the_first_window_determines_the_language_of_the_rest(transcribed):
    runner = ScriptedRunner()
    transcript = transcribed(noise(100), runner)
    first, second, *rest = [options.language for options in runner.options]
    assert (first, second, set(rest)) == (None, None, {"de"})
    assert (transcript.language, transcript.language_probability) == ("de", 0.75)


@pytest.mark.parametrize("probabilities", [(0.9, 0.9), (0.2, 0.9)], ids=["of the first", "of the second"])
def test_windows_in_the_language_of_another_one_say_that_it_was_detected(transcribed, probabilities):
    runner = ScriptedRunner(languages=("de", "fr", "de", "de"), probabilities=probabilities)
    transcribed(noise(25), runner)
    assert [each.language_detected for each in runner.options] == [False, False, True]


def test_a_language_that_was_asked_for_was_not_detected(transcribed):
    runner = ScriptedRunner()
    transcribed(noise(100), runner, language="en")
    assert {(options.language, options.language_detected) for options in runner.options} == {("en", False)}


def test_the_second_window_is_decoded_beside_the_first(transcribed):
    runner = ScriptedRunner(together=2)
    transcript = transcribed(noise(25), runner)
    assert [options.language for options in runner.options] == [None, None]
    assert runner.most_running == 2
    assert transcript.text == "0 12"


def test_a_second_window_that_seems_to_be_in_another_language_is_decoded_again(transcribed):
    runner = ScriptedRunner(languages=("de", "fr", "de"), probabilities=(0.9, 0.9))
    transcribed(noise(25), runner)
    assert [options.language for options in runner.options] == [None, None, "de"]


def test_a_doubtful_language_is_compared_with_that_of_the_second_window(transcribed):
    runner = ScriptedRunner(languages=("ru", "en"), probabilities=(0.2, 0.9))
    transcript = transcribed(noise(100), runner)
    asked = [(options.language, options.only_language) for options in runner.options]
    assert asked[:2] == [(None, False), (None, False)]
    assert set(asked[2:]) == {("en", False)}
    assert (transcript.language, transcript.language_probability) == ("en", 0.9)
    assert transcript.text.split()[0] == "0"


@pytest.mark.parametrize(("second", "probability"), [("ru", 0.9), ("en", 0.1)], ids=["the same", "less probable"])
def test_a_doubtful_language_stays_unless_the_second_window_has_a_better_one(transcribed, second, probability):
    runner = ScriptedRunner(languages=("ru", second), probabilities=(0.2, probability))
    assert transcribed(noise(100), runner).language == "ru"
    first, second, *rest = [options.language for options in runner.options]
    assert (first, second, set(rest)) == (None, None, {"ru"})


def test_digital_silence_at_the_start_has_no_language(transcribed):
    runner = ScriptedRunner(languages=("en", "en", "en", "fr"), probabilities=(0.0, 0.0, 0.0, 0.9))
    transcript = transcribed(noise(100), runner)
    assert (transcript.language, transcript.language_probability) == ("fr", 0.9)
    asked = [options.language for options in runner.options]
    assert asked[:3] == [None] * 3 and set(asked[4:]) <= {None, "fr"} and asked[-1] == "fr"


def test_a_doubtful_language_of_the_only_window_stays(transcribed):
    runner = ScriptedRunner(languages=("ru",), probabilities=(0.2,))
    assert transcribed(noise(10), runner).language == "ru"
    assert len(runner.options) == 1


@pytest.mark.parametrize(
    ("probabilities", "language", "asked"), [((0.2, 0.9), "en", 2), ((0.2, 0.1), "ru", 2), ((0.6, 0.9), "ru", 1)]
)
def test_a_detection_asks_a_second_window_in_doubt(settings, uploaded, tmp_path, probabilities, language, asked):
    runner = ScriptedRunner(languages=("ru", "en"), probabilities=probabilities)
    path = write_wav(tmp_path / "recording.wav", noise(100))
    request = TranscriptionRequest(DecodeOptions(model="demo"), EVERYTHING)
    found = asyncio.run(Pipeline(settings, runner).detect_language(uploaded(path), request, as_test()))
    assert (found.language, len(runner.options)) == (language, asked)


def test_a_requested_language_is_used_from_the_first_window(transcribed):
    runner = ScriptedRunner()
    assert transcribed(noise(40), runner, language="fr").language == "fr"
    assert {options.language for options in runner.options} == {"fr"}


def test_each_window_has_its_own_language_if_multilingual(transcribed):
    runner = ScriptedRunner(together=4, languages=("fr", "de", "de", "fr"))
    transcript = transcribed(noise(50), runner, multilingual=True)
    assert [options.language for options in runner.options] == [None] * 4
    assert runner.most_running == 4
    assert (transcript.language, transcript.language_probability) == ("de", 0.75)


def placed(language, probability, seconds, speech=None):
    timeline = Timeline((Span(0, seconds * SAMPLE_RATE),))
    heard = None if speech is None else (Span(0, speech * SAMPLE_RATE),) if speech else ()
    return PlacedResult(timeline, WindowResult(language, probability, ()), heard)


def test_the_main_language_is_the_one_that_is_spoken_longest():
    windows = [placed("fr", 0.9, 30, speech=5), placed("de", 0.5, 30, speech=20), placed("de", 0.8, 30, speech=10)]
    assert main_language(windows) == ("de", pytest.approx(0.6))


def test_silence_does_not_influence_the_main_language():
    assert main_language([placed("la", 0.3, 30, speech=0), placed("en", 0.9, 3, speech=2)]) == ("en", 0.9)


def test_digital_silence_does_not_influence_the_main_language_either():
    assert main_language([placed("en", 0.0, 30), placed("fr", 0.9, 3)]) == ("fr", 0.9)


def test_without_detected_speech_the_longest_windows_determine_the_main_language():
    assert main_language([placed("fr", 0.9, 10), placed("de", 0.5, 20)])[0] == "de"
    assert main_language([placed("fr", 0.9, 10, speech=0), placed("de", 0.5, 20, speech=0)])[0] == "de"


# Two languages within a window

SENTENCE = read_samples(SPOKEN)
PAUSE = np.zeros(SAMPLE_RATE, np.int16)
CONVERSATION = np.concatenate((SENTENCE, PAUSE, SENTENCE))
BORDER = (len(SENTENCE) + len(PAUSE) / 2) / SAMPLE_RATE  # seconds


class Conversation(ScriptedRunner):
    """Hears German in the first sentence, and in both together, and another language in the second."""

    def __init__(self, second: str, probability: float = 0.9) -> None:
        super().__init__()
        self._second = second
        self._probability = probability

    async def transcribe(self, window, options, ticket):
        result = await super().transcribe(window, options, ticket)
        language = self._second if window.timeline.start > 1 else "de"
        return replace(result, language=language, language_probability=self._probability)

    @property
    def decoded(self):
        return [options for options in self.options if not options.only_language]


def test_a_window_is_decoded_in_parts_if_multilingual_and_its_language_changes(transcribed):
    runner, placed = Conversation("fr"), []
    transcribed(CONVERSATION, runner, multilingual=True, on_result=lambda item, _: placed.append(item))
    assert [item.result.language for item in placed] == ["de", "fr"]
    assert placed[0].timeline.end == placed[1].timeline.start == pytest.approx(BORDER, abs=0.3)
    assert all(len(item.voice) == 1 for item in placed)
    assert len(runner.decoded) == 2


@pytest.mark.parametrize(("second", "probability"), [("de", 0.9), ("fr", 0.7)], ids=["the same", "not likely"])
def test_a_window_stays_whole_if_its_language_does_not_change(transcribed, second, probability):
    runner = Conversation(second, probability)
    transcribed(CONVERSATION, runner, multilingual=True)
    assert len(runner.decoded) == 1
    assert len(runner.options) == 3


@pytest.mark.parametrize(
    "options", [{"multilingual": False}, {"multilingual": True, "encoder_context": EncoderContext.FULL}], ids=str
)
def test_changes_of_the_language_are_only_looked_for_if_multilingual_and_unlike_faster_whisper(transcribed, options):
    runner = Conversation("fr")
    transcribed(CONVERSATION, runner, **options)
    assert [each.only_language for each in runner.options] == [False]


def test_a_resumed_run_knows_the_parts_of_a_window(transcribed):
    seen, again = [], []
    transcribed(CONVERSATION, Conversation("fr"), multilingual=True, on_result=lambda item, _: seen.append(item))
    runner = Conversation("fr")
    transcribed(CONVERSATION, runner, multilingual=True, known=seen, on_result=lambda item, _: again.append(item))
    assert (again, runner.options) == (seen, [])


def test_a_window_with_a_part_that_is_not_known_is_decoded_again(transcribed):
    seen, again = [], []
    transcribed(CONVERSATION, Conversation("fr"), multilingual=True, on_result=lambda item, _: seen.append(item))
    runner = Conversation("fr")
    transcribed(CONVERSATION, runner, multilingual=True, known=seen[:1], on_result=lambda item, _: again.append(item))
    assert (again, len(runner.decoded)) == (seen, 2)
