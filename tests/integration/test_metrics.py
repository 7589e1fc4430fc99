"""What Prometheus sees at /metrics of the API, of every process on the machine."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.clips import SpokenClip, Transcribe
from tests.support.load import sample
from tests.support.waiting import wait_until

BATCH_SIZE = "bentoml_service_adaptive_batch_size"


def test_batches_are_counted_under_the_name_and_labels_of_bentoml(
    client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip
) -> None:
    labels = {"runner_name": "whisper_runner", "method_name": "transcribe"}
    before = sample(client, f"{BATCH_SIZE}_count", **labels)

    assert transcribe(spoken_clip.path).status_code == 200

    assert sample(client, f"{BATCH_SIZE}_count", **labels) == before + 1
    assert sample(client, f"{BATCH_SIZE}_bucket", le="1.0", **labels) >= 1


def test_requests_are_counted_by_bentoml_itself(
    client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip
) -> None:
    labels = {"endpoint": "/transcribe", "runner_name": "transcription", "http_response_code": "200"}
    before = sample(client, "bentoml_service_request_total", **labels)

    assert transcribe(spoken_clip.path).status_code == 200

    # It is counted when the answer is out.
    assert wait_until(lambda: sample(client, "bentoml_service_request_total", **labels) == before + 1)


def test_a_job_and_a_guess_make_no_series_of_their_own(client: httpx.Client) -> None:
    for path in ("/status/no-such-job", "/jobs/no-such-job/result", "/wp-login.php", "/transcribe/"):
        client.get(path)
    text = client.get("/metrics").text
    assert "no-such-job" not in text
    assert "wp-login" not in text
    assert sample(client, "bentoml_service_request_total", endpoint="/status/{job_id}") >= 1
    assert sample(client, "bentoml_service_request_total", endpoint="other") >= 2


def test_a_recording_is_counted_with_its_seconds_its_language_and_its_speed(
    client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip
) -> None:
    counted = {
        "transcription_audio_seconds_total": {"model": "demo"},
        "transcription_transcripts_total": {"model": "demo", "language": "en", "task": "transcribe"},
        "transcription_real_time_factor_count": {"model": "demo"},
        "transcription_answers_total": {"source": "miss"},
    }
    before = {name: sample(client, name, **labels) for name, labels in counted.items()}
    duration = transcribe(spoken_clip.path, vad_filter="false", beam_size="3").json()["duration"]
    grown = {name: sample(client, name, **labels) - before[name] for name, labels in counted.items()}
    assert grown.pop("transcription_audio_seconds_total") == pytest.approx(duration, abs=0.01)
    assert set(grown.values()) == {1}


def test_a_recording_without_a_transcript_is_counted_with_the_reason(
    client: httpx.Client, transcribe: Transcribe, tmp_path: Path
) -> None:
    before = sample(client, "transcription_failures_total", reason="UnsupportedFormat")
    path = tmp_path / "text.mp3"
    path.write_text("no recording")
    assert transcribe(path).status_code == 400
    assert sample(client, "transcription_failures_total", reason="UnsupportedFormat") == before + 1
