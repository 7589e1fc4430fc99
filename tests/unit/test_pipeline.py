"""One upload in, one transcript out: the order of the steps, with a scripted runner in the model's place."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from errors import ServiceUnavailable, UndecodableMedia
from pipeline import WINDOWS_IN_FLIGHT, Pipeline, TranscriptionRequest
from runners.interface import RunnerState
from tests.media_files import media_children, noise, write_wav
from transcript import DecodeOptions, Segment, Task, Ticket, VadOptions, Window, WindowResult

TICKET = Ticket("test")
EVERYTHING = VadOptions(enabled=False)


@dataclass
class ScriptedRunner:
    """Answers every window with its place in the file.

    seconds: the first window takes as long, later ones less. pause: every window takes that much more.
    """

    seconds: float = 0.0
    pause: float = 0.0
    fail_at: float | None = None
    options: list[DecodeOptions] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    cancelled: int = 0

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        self.options.append(options)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.pause + self.seconds / (1 + window.timeline.start))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self.fail_at is not None and window.timeline.start >= self.fail_at:
            raise ServiceUnavailable("no more")
        text = f" {window.timeline.start:.0f}"
        segment = Segment(0.0, window.duration, text, (1,), -0.1, 1.0, 0.0, 0.0)
        return WindowResult(options.language or "de", 1.0 if options.language else 0.75, (segment,))

    async def state(self) -> RunnerState:
        return RunnerState(True, "cpu", "int8", ())


@pytest.fixture
def transcribed(settings, uploaded, tmp_path):
    """Transcribes a recording with a runner, options and progress of the test's choice."""

    def run(samples, runner, *, vad=EVERYTHING, on_progress=None, **options):
        path = write_wav(tmp_path / "recording.wav", samples)
        request = TranscriptionRequest(DecodeOptions(model="demo", **options), vad)
        work = Pipeline(settings, runner).transcribe(uploaded(path), request, TICKET, on_progress)
        return asyncio.run(work)

    return run


def test_segments_come_in_file_order_whichever_window_is_done_first(transcribed):
    transcript = transcribed(noise(150), ScriptedRunner(seconds=0.2), language="en")
    starts = [int(text) for text in transcript.text.split()]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert len(starts) >= 5


def test_the_duration_is_what_was_decoded(transcribed):
    assert transcribed(noise(12.5), ScriptedRunner()).duration == 12.5


def test_the_first_window_tells_the_language_of_the_rest(transcribed):
    runner = ScriptedRunner()
    transcript = transcribed(noise(100), runner)
    assert [options.language for options in runner.options] == [None, "de", "de", "de"]
    assert (transcript.language, transcript.language_probability) == ("de", 0.75)


def test_a_named_language_is_used_from_the_first_window(transcribed):
    runner = ScriptedRunner()
    assert transcribed(noise(40), runner, language="fr").language == "fr"
    assert {options.language for options in runner.options} == {"fr"}


def test_only_so_many_windows_are_ahead(transcribed):
    runner = ScriptedRunner(pause=1.0)
    transcribed(noise(30 * (WINDOWS_IN_FLIGHT + 6)), runner, language="en")
    assert runner.most_running == WINDOWS_IN_FLIGHT


def test_a_recording_without_speech_is_an_empty_transcript_of_no_language(transcribed):
    runner = ScriptedRunner()
    transcript = transcribed(noise(3), runner, vad=VadOptions())
    assert (transcript.text, transcript.language, transcript.language_probability) == ("", "und", 0.0)
    assert runner.options == []


def test_the_language_asked_for_stands_when_nobody_speaks(transcribed):
    assert transcribed(noise(3), ScriptedRunner(), vad=VadOptions(), language="es").language == "es"


def test_what_was_asked_for_is_in_the_transcript(transcribed):
    transcript = transcribed(noise(1), ScriptedRunner(), task=Task.TRANSLATE, word_timestamps=True)
    assert (transcript.model, transcript.task, transcript.word_timestamps) == ("demo", Task.TRANSLATE, True)
    assert transcript.processing_time > 0


def test_progress_grows_to_the_whole_file(transcribed):
    seen = []
    transcribed(noise(100), ScriptedRunner(), on_progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (100.0, 100.0)


def test_a_failing_window_fails_the_request_and_cancels_the_rest(transcribed):
    runner = ScriptedRunner(fail_at=60.0)
    with pytest.raises(ServiceUnavailable, match="no more"):
        transcribed(noise(300), runner, language="en")
    assert runner.running == 0
    assert media_children() == []


def test_cancelling_takes_every_window_back(settings, uploaded, tmp_path):
    runner = ScriptedRunner(seconds=1000.0)
    path = write_wav(tmp_path / "recording.wav", noise(200))
    request = TranscriptionRequest(DecodeOptions(model="demo", language="en"), EVERYTHING)

    async def cancel_while_it_runs() -> None:
        work = asyncio.create_task(Pipeline(settings, runner).transcribe(uploaded(path), request, TICKET))
        while runner.running < 5:
            await asyncio.sleep(0.05)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(cancel_while_it_runs())
    assert runner.running == 0
    assert runner.cancelled >= 5
    assert media_children() == []


def test_media_that_cannot_be_decoded_never_reaches_the_runner(settings, uploaded, tmp_path):
    path = tmp_path / "broken.flac"
    path.write_bytes(b"fLaC" + bytes(30))
    runner = ScriptedRunner()
    request = TranscriptionRequest(DecodeOptions(model="demo"), EVERYTHING)
    with pytest.raises(UndecodableMedia):
        asyncio.run(Pipeline(settings, runner).transcribe(uploaded(path), request, TICKET))
    assert runner.options == []


def test_a_window_never_exceeds_thirty_seconds(transcribed):
    class Measuring(ScriptedRunner):
        async def transcribe(self, window, options, ticket):
            assert 0 < len(window.samples) <= 480_000
            assert window.samples.dtype == np.int16
            return await super().transcribe(window, options, ticket)

    transcribed(noise(95), Measuring(), language="en")
