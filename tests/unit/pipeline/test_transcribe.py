"""From an upload to a transcript: the order of the steps, with a scripted runner in place of the model."""

import asyncio
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tests.support.media_files import SPOKEN, media_children, noise, read_samples, write_flac, write_wav
from tests.support.scripted_runner import ScriptedRunner, as_test
from tests.unit.pipeline.conftest import EVERYTHING
from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.errors import ServiceUnavailable, UndecodableMedia
from transcription.core.options import (
    DecodeOptions,
    HallucinationPolicy,
    Task,
    Ticket,
    TranscriptionRequest,
    VadOptions,
)
from transcription.core.transcript import PlacedResult, Reason, Segment, WindowResult
from transcription.media.voice_activity import CHUNK_SAMPLES
from transcription.media.voice_stream import VoiceStream
from transcription.pipeline.assemble import JUDGED_TOGETHER, Draft, judged
from transcription.pipeline.decode_windows import WINDOWS_IN_FLIGHT
from transcription.pipeline.transcribe import Pipeline


def test_segments_are_in_file_order_whichever_window_is_done_first(transcribed):
    transcript = transcribed(noise(150), ScriptedRunner(seconds=0.2), language="en")
    starts = [int(text) for text in transcript.text.split()]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert len(starts) >= 5


def test_the_duration_is_that_of_the_decoded_audio(transcribed):
    assert transcribed(noise(12.5), ScriptedRunner()).duration == 12.5


def test_uncertain_words_in_noise_are_dropped_and_listed(transcribed):
    transcript = transcribed(noise(25), ScriptedRunner(avg_logprob=-0.9), language="en")
    assert transcript.text == ""
    assert {concern.reason for concern in transcript.warnings} == {Reason.NO_VOICE}
    assert len(transcript.warnings) == 2


def test_uncertain_words_over_a_voice_are_kept(transcribed):
    transcript = transcribed(read_samples(SPOKEN), ScriptedRunner(avg_logprob=-0.9), language="en")
    assert (transcript.text, transcript.warnings) == ("0", ())


def test_nothing_is_judged_if_everything_is_kept(transcribed):
    runner = ScriptedRunner(avg_logprob=-0.9)
    transcript = transcribed(noise(25), runner, language="en", hallucinations=HallucinationPolicy.KEEP)
    assert len(transcript.segments) == 2
    assert transcript.warnings == ()


def test_the_number_of_windows_in_flight_is_limited(transcribed, monkeypatch):
    # Detects nothing, at once: windows are cut faster than decoded.
    monkeypatch.setattr(VoiceStream, "listen", lambda self, samples: [0.0] * (len(samples) // CHUNK_SAMPLES))
    runner = ScriptedRunner(together=WINDOWS_IN_FLIGHT, pause=1.0)
    transcribed(noise(30 * (WINDOWS_IN_FLIGHT + 6)), runner, language="en")
    assert runner.most_running == WINDOWS_IN_FLIGHT


def test_a_recording_without_speech_has_an_empty_transcript_without_a_language(transcribed):
    runner = ScriptedRunner()
    transcript = transcribed(noise(3), runner, vad=VadOptions())
    assert (transcript.text, transcript.language, transcript.language_probability) == ("", "und", 0.0)
    assert runner.options == []


def test_a_requested_language_is_kept_without_speech(transcribed):
    assert transcribed(noise(3), ScriptedRunner(), vad=VadOptions(), language="es").language == "es"


def test_the_options_of_the_request_are_in_the_transcript(transcribed):
    transcript = transcribed(noise(1), ScriptedRunner(), task=Task.TRANSLATE, word_timestamps=True)
    assert (transcript.model, transcript.task, transcript.word_timestamps) == ("demo", Task.TRANSLATE, True)
    assert transcript.processing_time > 0


def test_progress_grows_to_the_whole_file(transcribed):
    seen = []
    transcribed(noise(100), ScriptedRunner(), on_result=lambda item, total: seen.append((item.timeline.end, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (100.0, 100.0)


RECORDING = noise(100)  # eight windows


@pytest.mark.parametrize("language", [None, "en"])
@pytest.mark.parametrize("multilingual", [False, True])
@pytest.mark.parametrize("done", [1, 3, 8])
def test_a_resumed_run_decodes_only_the_rest_and_has_the_same_transcript(transcribed, done, multilingual, language):
    language = None if multilingual else language
    whole, seen, again = ScriptedRunner(), [], []
    expected = transcribed(
        RECORDING, whole, language=language, multilingual=multilingual, on_result=lambda item, _: seen.append(item)
    )
    rest = ScriptedRunner()
    resumed = transcribed(
        RECORDING,
        rest,
        language=language,
        multilingual=multilingual,
        known=seen[:done],
        on_result=lambda item, _: again.append(item),
    )
    assert replace(resumed, processing_time=0) == replace(expected, processing_time=0)
    assert again == seen
    assert len(rest.options) == len(whole.options) - done


def test_results_of_different_windows_are_not_reused(transcribed):
    seen = []
    transcribed(noise(40), ScriptedRunner(), language="en", on_result=lambda item, _: seen.append(item))
    shifted = [replace(item, timeline=Timeline((Span(1, item.timeline.length),))) for item in seen]
    runner = ScriptedRunner()
    transcribed(noise(40), runner, language="en", known=[*shifted, *seen])
    assert len(runner.options) == len(seen)


def test_each_window_is_sent_with_the_ticket_of_that_moment(settings, uploaded, tmp_path):
    tickets = []

    class Listening(ScriptedRunner):
        async def transcribe(self, window, options, ticket):
            tickets.append(ticket.request_id)
            return await super().transcribe(window, options, ticket)

    path = write_wav(tmp_path / "recording.wav", noise(100))
    request = TranscriptionRequest(DecodeOptions(model="demo", language="en"), EVERYTHING)
    asked = count()
    pipeline = Pipeline(settings, Listening())
    asyncio.run(pipeline.transcribe(uploaded(path), request, lambda: Ticket(str(next(asked)))))
    assert tickets == [str(number) for number in range(1, 1 + len(tickets))]  # the first was asked for its priority


def test_a_failing_window_fails_the_request_and_cancels_the_rest(transcribed):
    runner = ScriptedRunner(fail_at=60.0)
    with pytest.raises(ServiceUnavailable, match="no more"):
        transcribed(noise(300), runner, write=write_flac, language="en")
    assert runner.running == 0
    assert media_children() == []


def test_a_cancellation_withdraws_every_window(settings, uploaded, tmp_path):
    runner = ScriptedRunner(seconds=1000.0)
    path = write_flac(tmp_path / "recording.flac", noise(200))
    request = TranscriptionRequest(DecodeOptions(model="demo", language="en"), EVERYTHING)

    async def cancel_while_it_runs() -> None:
        work = asyncio.create_task(Pipeline(settings, runner).transcribe(uploaded(path), request, as_test))
        while runner.running < 5:
            await asyncio.sleep(0.05)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(cancel_while_it_runs())
    assert runner.running == 0
    assert runner.cancelled >= 5
    assert media_children() == []


def test_undecodable_media_never_reaches_the_runner(settings, uploaded, tmp_path):
    path = tmp_path / "broken.flac"
    path.write_bytes(b"fLaC" + bytes(30))
    runner = ScriptedRunner()
    request = TranscriptionRequest(DecodeOptions(model="demo"), EVERYTHING)
    with pytest.raises(UndecodableMedia):
        asyncio.run(Pipeline(settings, runner).transcribe(uploaded(path), request, as_test))
    assert runner.options == []


def test_a_window_never_exceeds_thirty_seconds(transcribed):
    class Measuring(ScriptedRunner):
        async def transcribe(self, window, options, ticket):
            assert 0 < len(window.samples) <= 480_000
            assert window.samples.dtype == np.int16
            return await super().transcribe(window, options, ticket)

    transcribed(noise(95), Measuring(), language="en")


# Drafts


def a_window(number, *texts, avg_logprob=-0.1):
    """The result of a window of 30 s, a segment for each text."""
    timeline = Timeline((Span(number * 30 * SAMPLE_RATE, 30 * SAMPLE_RATE),))
    segments = tuple(
        Segment(place * 2.0, place * 2.0 + 1.9, f" {text}", (1,), avg_logprob, 1.0, 0.0, 0.0)
        for place, text in enumerate(texts)
    )
    return PlacedResult(timeline, WindowResult("en", 1.0, segments))


def test_a_draft_returns_each_segment_once_in_order():
    draft = Draft(TranscriptionRequest(DecodeOptions("demo"), VadOptions()))
    given = [
        segment for number in range(10) for segment in draft.add(a_window(number, f"first {number}", f"then {number}"))
    ]
    assert [segment.text for segment in given] == [
        f" {word} {number}" for number in range(10) for word in ("first", "then")
    ]
    assert [segment.start for segment in given] == [
        number * 30.0 + place for number in range(10) for place in (0.0, 2.0)
    ]


def test_a_draft_omits_a_loop_across_windows():
    draft = Draft(TranscriptionRequest(DecodeOptions("demo"), VadOptions()))
    looping = ["thank you"] * 12
    given = [draft.add(a_window(number, *looping, avg_logprob=-0.9)) for number in range(JUDGED_TOGETHER)]
    assert given[0]
    assert given[-1] == []


def test_a_sentence_that_is_said_again_and_again_within_a_stretch_of_speech_is_kept():
    window = a_window(0, *["i really like that account"] * 8)
    looping = tuple(replace(segment, compression_ratio=5.0) for segment in window.result.segments)
    voice = tuple(Span(place * 2 * SAMPLE_RATE + 4000, 20_000) for place in range(8))
    placed = replace(
        window, result=replace(window.result, segments=looping), speech=(Span(0, 16 * SAMPLE_RATE),), voice=voice
    )
    request = TranscriptionRequest(DecodeOptions("demo"), VadOptions())
    assert len(judged([placed], request, 30.0).segments) == 8
    assert len(judged([replace(placed, voice=placed.speech)], request, 30.0).segments) == 4
