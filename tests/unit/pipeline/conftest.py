import asyncio

import pytest

from tests.support.media_files import write_wav
from tests.support.scripted_runner import as_test
from transcription.core.options import DecodeOptions, HallucinationPolicy, TranscriptionRequest, VadOptions
from transcription.pipeline.transcribe import Pipeline

EVERYTHING = VadOptions(enabled=False)


@pytest.fixture
def transcribed(settings, uploaded, tmp_path):
    """Transcribes a recording with the given runner, options and callbacks."""

    def run(
        samples,
        runner,
        *,
        vad=EVERYTHING,
        on_result=None,
        known=(),
        multilingual=False,
        hallucinations=HallucinationPolicy.DROP,
        write=write_wav,
        **options,
    ):
        path = write(tmp_path / f"recording.{write.__name__.removeprefix('write_')}", samples)
        request = TranscriptionRequest(DecodeOptions(model="demo", **options), vad, multilingual, hallucinations)
        work = Pipeline(settings, runner).transcribe(uploaded(path), request, as_test, known, on_result)
        return asyncio.run(work)

    return run
