"""Corrected transcripts, over HTTP: saved to their job, in all formats, with their versions."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.jobs import finished, submit
from tests.support.recordings import Recordings
from transcription.api.routes.transcripts import MAX_TRANSCRIPT_BYTES
from transcription.api.schemas.edits import MAX_SEGMENT_CHARACTERS

Document = dict[str, Any]


@pytest.fixture
def job(client: httpx.Client, spoken_clip: SpokenClip) -> str:
    """A completed job, with words."""
    job_id = submit(client, spoken_clip.path, timestamp_granularity="word")
    assert finished(client, job_id)["status"] == "completed"
    return job_id


def read(client: httpx.Client, job: str, **parameters: int) -> httpx.Response:
    answer = client.get(f"/jobs/{job}/transcript", params=parameters)
    assert answer.status_code == 200
    return answer


def save(client: httpx.Client, job: str, document: object, **headers: str) -> httpx.Response:
    return client.put(f"/jobs/{job}/transcript", json=document, headers=headers)


def corrected(document: Document) -> Document:
    """The document with another first word."""
    first, *others = document["segments"]
    text = " ".join(["Corrected", *first["text"].split()[1:]])
    return {"segments": [{name: first[name] for name in ("start", "end")} | {"text": text}, *others]}


def test_a_correction_is_in_every_format_and_the_original_stays(client: httpx.Client, job: str) -> None:
    before = client.get(f"/jobs/{job}/result").json()
    answer = save(client, job, corrected(read(client, job).json()))
    assert (answer.status_code, answer.json()) == (200, {"job_id": job, "version": 1})
    for response_format in ("json", "verbose_json", "text", "srt", "vtt", "tsv", "lrc"):
        path = f"/jobs/{job}/result?response_format={response_format}"
        assert "Corrected" in client.get(path).text
        assert "Corrected" not in client.get(f"{path}&version=0").text
    assert "Corrected" in client.get(f"/jobs/{job}/result?response_format=srt&max_line_width=20").text
    assert client.get(f"/status/{job}").json()["result"]["text"].startswith("Corrected")
    assert client.get(f"/jobs/{job}/result?version=0").json() == before


def test_words_that_did_not_change_keep_their_times(client: httpx.Client, job: str) -> None:
    before = client.get(f"/jobs/{job}/result").json()["words"]
    save(client, job, corrected(read(client, job).json()))
    after = client.get(f"/jobs/{job}/result").json()["words"]
    assert after[1:] == before[1:]
    assert after[0] == before[0] | {"word": "Corrected", "confidence": 1.0}


@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
def test_a_result_that_is_sent_back_changes_nothing(client: httpx.Client, job: str, response_format: str) -> None:
    document = client.get(f"/jobs/{job}/result", params={"response_format": response_format}).json()
    answer = save(client, job, document)
    assert (answer.status_code, answer.json()["version"]) == (200, 0)
    assert client.get(f"/jobs/{job}/result", params={"response_format": response_format}).json() == document


def test_segments_may_be_split_merged_and_given_to_speakers(client: httpx.Client, job: str) -> None:
    (first, *_) = read(client, job).json()["segments"]
    words = first["words"]
    parts = [words[:2], words[2:]]
    segments = [
        {"start": part[0]["start"], "end": part[-1]["end"], "text": " ".join(w["word"] for w in part), "speaker": name}
        for part, name in zip(parts, ("Ann", "Bo"), strict=True)
    ]
    assert save(client, job, {"segments": segments}).status_code == 200
    result = client.get(f"/jobs/{job}/result").json()
    assert [speaker["label"] for speaker in result["speakers"]] == ["Ann", "Bo"]
    assert [(word["word"], word["start"], word["end"]) for word in result["words"]] == [
        (word["word"], word["start"], word["end"]) for word in words
    ]
    assert "<v Bo>" in client.get(f"/jobs/{job}/result?response_format=vtt").text


def test_of_two_who_save_at_the_same_time_the_second_is_told(client: httpx.Client, job: str) -> None:
    answer = read(client, job)
    document, tag = answer.json(), answer.headers["ETag"]
    first = save(client, job, corrected(document), **{"If-Match": tag})
    assert first.status_code == 200
    assert_error(save(client, job, {"segments": []}, **{"If-Match": tag}), 412, "edit_conflict")
    assert read(client, job).headers["ETag"] == first.headers["ETag"] != tag
    after = save(client, job, {"segments": []}, **{"If-Match": f'"none", W/{first.headers["ETag"]}'})
    assert (after.status_code, after.json()["version"]) == (200, 2)
    assert save(client, job, document, **{"If-Match": "*"}).json()["version"] == 3


def test_versions_are_listed_and_can_be_restored(client: httpx.Client, job: str) -> None:
    original = read(client, job).json()
    save(client, job, corrected(original))
    versions = client.get(f"/jobs/{job}/transcript/versions").json()["versions"]
    assert [version["version"] for version in versions] == [0, 1]
    assert versions[0]["saved_at"] == original["saved_at"] < versions[1]["saved_at"]
    assert read(client, job, version=1).json() == read(client, job).json()
    assert read(client, job, version=0).json() == original
    assert save(client, job, read(client, job, version=0).json()).json()["version"] == 2
    assert read(client, job).json()["segments"] == original["segments"]
    assert_error(client.get(f"/jobs/{job}/transcript?version=3"), 404, "unknown_version")
    assert_error(client.get(f"/jobs/{job}/result?version=7"), 404, "unknown_version")


def test_a_retry_forgets_the_corrections(client: httpx.Client, job: str) -> None:
    original = read(client, job).json()
    save(client, job, corrected(original))
    client.post(f"/jobs/{job}/retry")
    assert finished(client, job)["status"] == "completed"
    assert read(client, job).json()["segments"] == original["segments"]
    assert_error(client.get(f"/jobs/{job}/transcript?version=1"), 404, "unknown_version")


SEGMENT = {"start": 0.0, "end": 1.0, "text": "x"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "'segments'"),
        (b"{", "'segments'"),
        (b"[]", "'segments'"),
        (b"{}", "'segments'"),
        (b"[" * 100_000, "'segments'"),
        (b'{"segments": [], "colour": 1}', "colour"),
        ({"segments": [SEGMENT, SEGMENT | {"text": ""}]}, "Segment 1: It has no text"),
        ({"segments": [SEGMENT, SEGMENT | {"start": "0"}]}, "Segment 1: 'start'"),
        ({"segments": [SEGMENT | {"end": -1.0}]}, "Segment 0: 'end'"),
        ({"segments": [SEGMENT | {"end": 1e9}]}, "Segment 0: It ends at"),
        ({"segments": [SEGMENT | {"colour": 1}]}, "Segment 0: 'colour'"),
        ({"segments": [SEGMENT | {"text": "x" * (MAX_SEGMENT_CHARACTERS + 1)}]}, "Segment 0: 'text'"),
        ({"segments": [SEGMENT | {"words": [{"word": "y", "start": 0.0, "end": 1.0}]}]}, "Segment 0: Its words"),
        ({"segments": [SEGMENT | {"words": [{"word": "x", "start": 0.0}]}]}, "Segment 0, word 0: 'end'"),
        (b'{"segments": [{"start": NaN, "end": 1, "text": "x"}]}', "Segment 0: 'start'"),
        (b'{"segments": [{"start": 1e999, "end": 1, "text": "x"}]}', "Segment 0: 'start'"),
        (b'{"segments": [{"start": 0, "end": 1, "text": "\\ud800"}]}', ""),
    ],
)
def test_a_transcript_that_makes_no_sense_is_refused(
    client: httpx.Client, completed: str, body: bytes | Document, said: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.put(f"/jobs/{completed}/transcript", content=content)
    assert said in assert_error(answer, 422, "invalid_parameter")["message"]
    assert read(client, completed).json()["version"] == 0


@pytest.fixture(scope="module")
def completed(client: httpx.Client, spoken_clip: SpokenClip) -> str:
    """A completed job, without words."""
    job_id = submit(client, spoken_clip.path)
    assert finished(client, job_id)["status"] == "completed"
    return job_id


def test_a_transcript_without_words_is_corrected_without(client: httpx.Client, completed: str) -> None:
    document = read(client, completed).json()
    assert all("words" not in segment for segment in document["segments"])
    assert save(client, completed, document).json()["version"] == 0


def test_an_etag_that_is_none_is_refused(client: httpx.Client, completed: str) -> None:
    for header in ("17", '"17', ""):
        assert_error(save(client, completed, {"segments": []}, **{"If-Match": header}), 422, "invalid_parameter")


def test_a_transcript_that_is_too_large_is_refused(client: httpx.Client, completed: str) -> None:
    answer = client.put(f"/jobs/{completed}/transcript", content=b" " * (MAX_TRANSCRIPT_BYTES + 1))
    assert_error(answer, 413, "file_too_large")


def test_only_the_transcript_of_a_completed_job_can_be_read_and_saved(
    client: httpx.Client, recordings: Recordings
) -> None:
    assert_error(save(client, "never-was", {"segments": []}), 404, "unknown_job")
    job = submit(client, recordings.talk("corrected.mp3", 60))
    for answer in (save(client, job, {"segments": []}), client.get(f"/jobs/{job}/transcript")):
        assert_error(answer, 409, "wrong_job_state")
    client.delete(f"/jobs/{job}")
