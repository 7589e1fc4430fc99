"""Subtitles as they are asked for, from the real service, on requests and on results of jobs."""

from __future__ import annotations

from io import StringIO
from typing import Any

import httpx
import pysubs2
import pytest
import webvtt  # type: ignore[import-untyped]

from tests.support.clips import SpokenClip, Transcribe
from tests.support.jobs import finished
from tests.support.service import ROOT

LONG = ROOT / "samples" / "en-day.m4a"


@pytest.fixture(scope="module")
def job(client: httpx.Client, spoken_clip: SpokenClip) -> str:
    """A completed job whose submission asked for a layout."""
    return completed_job(client, max_words_per_line="3")


def completed_job(client: httpx.Client, **fields: str) -> str:
    answer = client.post("/transcribe", files={"file": LONG.read_bytes()}, data={"async": "true"} | fields)
    job_id: str = answer.raise_for_status().json()["job_id"]
    finished(client, job_id)
    return job_id


def result(client: httpx.Client, job_id: str, **query: Any) -> httpx.Response:
    return client.get(f"/jobs/{job_id}/result", params=query)


def test_an_srt_file_has_lines_and_cues_as_asked_for(transcribe: Transcribe) -> None:
    plain = transcribe(LONG, response_format="text").text.strip()
    answer = transcribe(LONG, response_format="srt", max_line_width="30", max_line_count="2", max_cue_duration="5")
    cues = pysubs2.SSAFile.from_string(answer.text, format_="srt")
    lines = [cue.plaintext.split("\n") for cue in cues]
    assert len(cues) > 1
    assert all(len(shown) <= 2 and max(map(len, shown)) <= 30 for shown in lines)
    assert all(cue.duration <= 5000 for cue in cues)
    assert " ".join(line for shown in lines for line in shown) == plain
    assert "X-Subtitle-Warnings" not in answer.headers


def test_a_vtt_file_underlines_each_word_in_turn(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    answer = transcribe(spoken_clip.path, response_format="vtt", highlight_words="true")
    captions = webvtt.from_buffer(StringIO(answer.text))
    lit = [caption.raw_text.split("<u>")[1].split("</u>")[0] for caption in captions if "<u>" in caption.raw_text]
    assert " ".join(lit) == spoken_clip.text


def test_cues_that_are_read_too_fast_are_counted(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    answer = transcribe(spoken_clip.path, response_format="vtt", max_chars_per_second="1")
    assert answer.headers["X-Subtitle-Warnings"] == "1"
    assert answer.text.count("NOTE ") == 1


def test_a_result_has_the_layout_of_its_submission(client: httpx.Client, job: str) -> None:
    cues = pysubs2.SSAFile.from_string(result(client, job, response_format="srt").text, format_="srt")
    assert all(len(cue.plaintext.split()) <= 3 for cue in cues)


def test_a_result_takes_any_other_layout(client: httpx.Client, job: str) -> None:
    wide = result(client, job, response_format="srt", max_words_per_line=9).text
    lit = result(client, job, response_format="vtt", highlight_words=True).text
    assert wide.count("-->") < result(client, job, response_format="srt").text.count("-->")
    assert lit.count("<u>") == len(result(client, job, response_format="text").text.split())


def test_words_that_were_timed_for_a_layout_are_not_shown(client: httpx.Client, job: str) -> None:
    assert "words" not in result(client, job, response_format="json").json()
    assert "words" not in client.get(f"/status/{job}").json()["result"]
    assert '"words"' not in client.get(f"/jobs/{job}/events").text


def test_words_that_were_asked_for_are_shown_with_a_layout_too(client: httpx.Client) -> None:
    job_id = completed_job(client, max_line_width="42", timestamp_granularity="word")
    assert result(client, job_id, response_format="json").json()["words"]


def test_a_result_without_times_of_words_says_how_to_get_them(client: httpx.Client) -> None:
    job_id = completed_job(client)
    answer = result(client, job_id, response_format="srt", highlight_words=True)
    assert answer.status_code == 409
    assert "Submit the recording again with highlight_words=true" in answer.json()["message"]
    assert result(client, job_id, response_format="srt", max_line_width=20).status_code == 200


def test_the_same_key_with_another_layout_is_another_submission(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    def submit(width: str) -> int:
        fields = {"async": "true", "max_line_width": width}
        files = {"file": spoken_clip.path.read_bytes()}
        key = {"Idempotency-Key": "subtitles"}
        return client.post("/transcribe", files=files, data=fields, headers=key).status_code

    assert [submit("30"), submit("30"), submit("31")] == [202, 202, 409]


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"response_format": "json", "max_line_width": "42"}, "Send srt, vtt, tsv or lrc"),
        ({"response_format": "tsv", "highlight_words": "true"}, "needs srt or vtt"),
        ({"response_format": "lrc", "max_line_width": "42", "max_line_count": "2"}, "max_line_count=1"),
        ({"response_format": "srt", "max_line_count": "2"}, "Send 'max_line_width'"),
        ({"response_format": "srt", "max_line_width": "0"}, "max_line_width: "),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused_with_the_remedy(
    client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip, job: str, fields: dict[str, str], remedy: str
) -> None:
    refused = transcribe(spoken_clip.path, **fields)
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid_parameter")
    assert remedy in refused.json()["message"]


def test_a_result_in_json_refuses_a_layout_too(client: httpx.Client, job: str) -> None:
    assert result(client, job, response_format="json", max_line_width=42).status_code == 422
    assert result(client, job, response_format="srt", max_line_widht=42).status_code == 422
