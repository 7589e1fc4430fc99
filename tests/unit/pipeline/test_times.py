"""Times of a recording with known pauses, through the pipeline, with the real Silero and a model with loose times."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from runners.client.interface import RunnerState
from tests.support.media_files import SPOKEN, read_samples, write_wav
from transcription.core.audio import SAMPLE_RATE, Span, Timeline, Window
from transcription.core.options import DecodeOptions, HallucinationPolicy, Ticket, TranscriptionRequest, VadOptions
from transcription.core.transcript import PlacedResult, Reason, Segment, Transcript, WindowResult, Word
from transcription.pipeline.assemble import Draft, judged, segments_of
from transcription.pipeline.transcribe import Pipeline

BEFORE, PAUSE = 1.5, 1.2  # seconds
TOLERANCE = 0.15  # seconds; Silero's chunks are 32 ms long, and clips begin softly
AUDIBLE = 0.03  # of the loudest sample


def trimmed(samples: np.ndarray) -> np.ndarray:
    """The clip without silence at its ends."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE * np.abs(samples.astype(np.int32)).max())
    return samples[loud[0] : loud[-1] + 1]


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


CLIP = trimmed(read_samples(SPOKEN))
LENGTH = len(CLIP) / SAMPLE_RATE
RECORDING = np.concatenate((silence(BEFORE), CLIP, silence(PAUSE), CLIP, silence(BEFORE)))
FIRST, SECOND = BEFORE, BEFORE + LENGTH + PAUSE  # where the clip starts


class LooseRunner:
    """Two segments that meet in the pause, as Whisper times them: the first from the start of the window to its end."""

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        border = FIRST - window.timeline.start + LENGTH + PAUSE / 3
        times = [(0.0, border), (border, window.duration)]
        return WindowResult("en", 1.0, tuple(self._segment(*each, options.word_timestamps) for each in times))

    async def state(self) -> RunnerState:
        return RunnerState(True, "cpu", "int8", ())

    @staticmethod
    def _segment(start: float, end: float, with_words: bool) -> Segment:
        middle = (start + end) / 2
        words = (Word(" one", start, middle, 0.9), Word(" two", middle, end, 0.9)) if with_words else ()
        return Segment(start, end, " one two", (1,), -0.1, 1.0, 0.0, 0.0, words=words)


@pytest.fixture
def transcribed(settings, uploaded, tmp_path):
    """Transcribes the recording. placed: gets the result of each window."""

    def run(words=False, vad=True, hallucinations=HallucinationPolicy.DROP, known=(), placed=None) -> Transcript:
        request = request_for(words, vad, hallucinations)
        path = write_wav(tmp_path / "recording.wav", RECORDING)
        work = Pipeline(settings, LooseRunner()).transcribe(
            uploaded(path),
            request,
            lambda: Ticket("test"),
            known,
            lambda item, _: placed.append(item) if placed is not None else None,
        )
        return asyncio.run(work)

    return run


def request_for(words=False, vad=True, hallucinations=HallucinationPolicy.DROP) -> TranscriptionRequest:
    decode = DecodeOptions(model="demo", language="en", word_timestamps=words)
    return TranscriptionRequest(decode, VadOptions(enabled=vad), hallucinations=hallucinations)


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("vad", [False, True])
@pytest.mark.parametrize("hallucinations", [HallucinationPolicy.DROP, HallucinationPolicy.KEEP])
def test_segments_start_and_end_with_the_voice(transcribed, words, vad, hallucinations):
    first, second = transcribed(words, vad, hallucinations).segments
    assert first.start == pytest.approx(FIRST, abs=TOLERANCE)
    assert first.end == pytest.approx(FIRST + LENGTH, abs=TOLERANCE)
    assert second.start == pytest.approx(SECOND, abs=TOLERANCE)
    assert second.end == pytest.approx(SECOND + LENGTH, abs=TOLERANCE)


def test_the_first_word_after_a_pause_starts_with_the_voice(transcribed):
    words = transcribed(words=True).words
    assert words[0].start == pytest.approx(FIRST, abs=TOLERANCE)
    assert words[2].start == pytest.approx(SECOND, abs=TOLERANCE)
    assert words[1].end == pytest.approx(FIRST + LENGTH, abs=TOLERANCE)


def test_times_are_the_same_in_a_draft_a_job_and_a_resumed_run(transcribed):
    placed = []
    segments = transcribed(placed=placed).segments
    assert tuple(Draft(request_for()).add(placed[0])) == segments
    assert tuple(segments_of(placed[0], request_for())) == segments
    assert transcribed(known=placed).segments == segments


def test_words_that_were_not_asked_for_serve_the_times_of_their_segment_alone():
    window = Timeline((Span(0, 9 * SAMPLE_RATE),))
    word = Word(" one", 3.1, 6.0, 0.9)
    result = WindowResult("en", 1.0, (Segment(4.0, 6.0, " one", (1,), -0.1, 1.0, 0.0, 0.0, words=(word,)),))
    placed = PlacedResult(window, result, voice=(Span(SAMPLE_RATE, SAMPLE_RATE), Span(5 * SAMPLE_RATE, SAMPLE_RATE)))
    for segments in (judged([placed], request_for(), 9.0).segments, segments_of(placed, request_for())):
        assert [(each.start, each.end, each.words) for each in segments] == [(5.0, 6.0, ())]
    assert judged([placed], request_for(words=True), 9.0).words == (replace(word, start=5.0),)


def doubtful(policy: HallucinationPolicy) -> Transcript:
    """The transcript of a doubtful word in the pause after a voice, which starts in its last 50 ms."""
    second = Span(SAMPLE_RATE, SAMPLE_RATE)
    said = Segment(1.95, 2.3, " you", (1,), -0.9, 1.0, 0.0, 0.0)
    placed = PlacedResult(
        Timeline((Span(0, 3 * SAMPLE_RATE),)), WindowResult("en", 1.0, (said,)), (second,), voice=(second,)
    )
    return judged([placed], request_for(hallucinations=policy), 3.0)


def test_a_segment_is_judged_before_it_is_moved_to_the_voice():
    transcript = doubtful(HallucinationPolicy.DROP)
    assert not transcript.segments
    assert [concern.reason for concern in transcript.warnings] == [Reason.NO_VOICE]


def test_a_warning_has_the_times_of_the_segment_that_it_marks():
    transcript = doubtful(HallucinationPolicy.MARK)
    (segment,), (warning,) = transcript.segments, transcript.warnings
    assert (warning.start, warning.end) == (segment.start, segment.end) == (1.95, 2.0)
