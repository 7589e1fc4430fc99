"""Telling speakers apart, over HTTP: the embedded models and a conversation of two people."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip, Transcribe
from tests.support.conversation import CONVERSATION
from tests.support.jobs import PATIENCE, finished, post, read_events, status, submit
from tests.support.media_files import run_ffmpeg
from tests.support.recordings import Recordings
from tests.support.service import UNSHARED, connected, serve
from tests.support.waiting import wait_until

LABELS = ["SPEAKER_00", "SPEAKER_01"]
Diarize = Callable[..., httpx.Response]


@pytest.fixture
def diarize(transcribe: Transcribe, conversation: Path) -> Diarize:
    """Transcribe the conversation with speakers. Its text is kept: the embedded model is not made for this speech."""

    def call(path: Path = conversation, **fields: str) -> httpx.Response:
        return transcribe(path, **{"diarize": "true", "language": "en", "hallucinations": "keep", **fields})

    return call


def test_segments_have_speakers_and_the_transcript_lists_them(diarize: Diarize) -> None:
    heard = diarize(CONVERSATION).json()  # of more than one window
    assert [speaker["label"] for speaker in heard["speakers"]] == LABELS
    assert sum(speaker["share"] for speaker in heard["speakers"]) == pytest.approx(1, abs=0.001)
    assert {segment["speaker"] for segment in heard["segments"]} == set(LABELS)
    assert "words" not in heard


def test_words_have_speakers_if_words_are_requested(diarize: Diarize) -> None:
    words = diarize(timestamp_granularity="word").json()["words"]
    assert {word["speaker"] for word in words} == set(LABELS)
    assert all(one["start"] <= other["start"] for one, other in pairwise(words))


def test_the_same_recording_has_the_same_speakers_each_time(diarize: Diarize) -> None:
    first, second = diarize(), diarize()
    assert first.json()["speakers"] == second.json()["speakers"]


@pytest.mark.parametrize(
    ("response_format", "named"),
    [("srt", "P00: "), ("vtt", "<v P00>"), ("rttm", "<NA> <NA> P00 <NA> <NA>"), ("tsv", "\tP00"), ("text", "P00: ")],
)
def test_every_format_has_their_names(diarize: Diarize, response_format: str, named: str) -> None:
    answer = diarize(response_format=response_format, speaker_labels="P")
    assert answer.status_code == 200
    assert named in answer.text
    assert named.replace("P00", "P01") in answer.text


def test_the_number_of_speakers_may_be_given(diarize: Diarize) -> None:
    assert len(diarize(num_speakers="1").json()["speakers"]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"num_speakers": "0"},
        {"num_speakers": "200"},
        {"min_speakers": "3", "max_speakers": "2"},
        {"num_speakers": "2", "min_speakers": "2"},
        {"diarize": "", "num_speakers": "2"},
        {"diarize": "", "response_format": "rttm"},
    ],
)
def test_what_makes_no_sense_is_refused(diarize: Diarize, fields: dict[str, str]) -> None:
    assert_error(diarize(**fields), 422, "invalid_parameter")


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory, spoken_clips: dict[str, SpokenClip]) -> Path:
    """A recording of a call: one person speaks English on the left, then another German on the right."""
    path = tmp_path_factory.mktemp("call") / "call.wav"
    left, right = (str(spoken_clips[language].path) for language in ("en", "de"))
    sounds = "[0:a]aresample=16000,aformat=channel_layouts=mono,apad=pad_dur=6[l];"
    sounds += (
        "[1:a]aresample=16000,aformat=channel_layouts=mono,adelay=5000[r];[l][r]join=inputs=2:channel_layout=stereo"
    )
    run_ffmpeg("-i", left, "-i", right, "-filter_complex", sounds, str(path))
    return path


def test_each_channel_of_a_call_has_a_speaker(
    transcribe: Transcribe, call: Path, spoken_clips: dict[str, SpokenClip]
) -> None:
    heard = transcribe(call, channel="split").json()
    said = {label: " ".join(s["text"] for s in heard["segments"] if s["speaker"] == label) for label in LABELS}
    assert said == {"SPEAKER_00": spoken_clips["en"].text, "SPEAKER_01": spoken_clips["de"].text}
    assert [speaker["label"] for speaker in heard["speakers"]] == LABELS
    assert "words" not in heard


def test_a_job_transcribes_each_channel(client: httpx.Client, call: Path) -> None:
    job = submit(client, call, channel="split", speaker_labels="Line ")
    done = finished(client, job)
    assert [speaker["label"] for speaker in done["result"]["speakers"]] == ["Line 00", "Line 01"]
    assert "Line 00: " in client.get(f"/jobs/{job}/result?response_format=srt").text
    renamed = client.post(f"/jobs/{job}/speakers", json={"Line 00": "Ann"}).json()
    assert [speaker["label"] for speaker in renamed["speakers"]] == ["Ann", "Line 01"]


def test_a_recording_with_one_channel_is_not_split(transcribe: Transcribe, conversation: Path) -> None:
    assert_error(transcribe(conversation, channel="split"), 422, "invalid_parameter")


def test_channels_and_voices_do_not_go_together(diarize: Diarize) -> None:
    assert_error(diarize(channel="split"), 422, "invalid_parameter")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data URL of 4.5 s of the second speaker."""
    path = tmp_path_factory.mktemp("sample") / "bo.wav"
    run_ffmpeg("-ss", "9", "-t", "4.5", "-i", str(CONVERSATION), str(path))
    return f"data:audio/wav;base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_a_known_speaker_is_recognised_in_requests_and_jobs(
    client: httpx.Client, diarize: Diarize, conversation: Path, sample: str
) -> None:
    known = {"known_speaker_names[]": "Bo", "known_speaker_references[]": sample}
    assert [speaker["label"] for speaker in diarize(**known).json()["speakers"]] == ["SPEAKER_00", "Bo"]
    done = finished(client, submit(client, conversation, diarize="true", **known))
    assert [speaker["label"] for speaker in done["result"]["speakers"]] == ["SPEAKER_00", "Bo"]


def test_a_sample_may_be_a_file_on_every_door(client: httpx.Client, conversation: Path, sample: str) -> None:
    voice = base64.b64decode(sample.partition(",")[2])
    files = [
        ("file", (conversation.name, conversation.read_bytes())),
        ("known_speaker_references[]", ("bo.wav", voice, "audio/wav")),
    ]
    fields = {"known_speaker_names[]": "Bo", "language": "en", "hallucinations": "keep"}
    plain = client.post("/transcribe", files=files, data=fields | {"diarize": "true"}).json()
    job = client.post("/transcribe", files=files, data=fields | {"diarize": "true", "async": "true"}).json()["job_id"]
    diarized = fields | {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json"}
    segments = client.post("/v1/audio/transcriptions", files=files, data=diarized).json()["segments"]
    assert [speaker["label"] for speaker in plain["speakers"]] == ["SPEAKER_00", "Bo"]
    assert [speaker["label"] for speaker in finished(client, job)["result"]["speakers"]] == ["SPEAKER_00", "Bo"]
    assert {segment["speaker"] for segment in segments} == {"A", "Bo"}


def test_known_speakers_need_diarize(diarize: Diarize, sample: str) -> None:
    known = {"known_speaker_names[]": "Bo", "known_speaker_references[]": sample}
    assert "diarize=true" in assert_error(diarize(diarize="", **known), 422, "invalid_parameter")["message"]


@pytest.mark.parametrize(
    ("door", "fields"),
    [
        ("/transcribe", {"diarize": "true"}),
        ("/v1/audio/transcriptions", {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json"}),
        ("/v1/audio/diarization", {}),
    ],
)
def test_names_of_known_speakers_are_checked_before_their_samples(
    client: httpx.Client, conversation: Path, door: str, fields: dict[str, str]
) -> None:
    no_recording = "data:audio/wav;base64,AAAA"
    known = {"known_speaker_names[]": ["Bo", "Bo"], "known_speaker_references[]": [no_recording] * 2}
    answer = client.post(door, files={"file": conversation.read_bytes()}, data=fields | known)
    assert answer.is_client_error
    assert "Two known speakers have the same name" in answer.text


def test_a_sample_of_hours_is_read_no_further_than_it_may_be_long(
    client: httpx.Client, conversation: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two-hours.flac"  # more than MAX_DURATION
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "7200", str(path))
    known = {
        "known_speaker_names[]": "Bo",
        "known_speaker_references[]": f"data:audio/flac;base64,{base64.b64encode(path.read_bytes()).decode()}",
    }
    answer = client.post("/v1/audio/diarization", files={"file": conversation.read_bytes()}, data=known)
    assert answer.status_code == 400
    assert "longer than 10 s" in answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def named(client: httpx.Client, conversation: Path) -> str:
    """A completed job, with words."""
    job = submit(client, conversation, diarize="true", hallucinations="keep", timestamp_granularity="word")
    assert finished(client, job)["status"] == "completed"
    return job


def test_a_job_has_the_speakers_of_a_request(client: httpx.Client, named: str, diarize: Diarize) -> None:
    result = client.get(f"/jobs/{named}/result").json()
    assert result["speakers"] == diarize(language="").json()["speakers"]


def test_the_words_of_a_job_are_not_shown_unless_requested(client: httpx.Client, conversation: Path) -> None:
    job = submit(client, conversation, diarize="true", hallucinations="keep")
    events = read_events(client, job)
    assert all("words" not in event["data"] for event in events)
    assert "words" not in client.get(f"/jobs/{job}/result").json()


def test_speakers_of_a_job_can_be_renamed_in_every_format(client: httpx.Client, named: str) -> None:
    before = client.get(f"/jobs/{named}/result").json()
    answer = client.post(f"/jobs/{named}/speakers", json={"SPEAKER_00": "Ann", "SPEAKER_01": "Bo"})
    assert answer.status_code == 200
    assert [speaker["label"] for speaker in answer.json()["speakers"]] == ["Ann", "Bo"]
    for response_format in ("json", "verbose_json", "srt", "vtt", "rttm", "tsv", "text"):
        text = client.get(f"/jobs/{named}/result?response_format={response_format}").text
        assert "Ann" in text
        assert "SPEAKER_" not in text
    assert client.get(f"/status/{named}").json()["result"]["text"] == before["text"]


def test_renaming_speakers_again_changes_nothing(client: httpx.Client, named: str) -> None:
    names = {"SPEAKER_00": "Ann", "SPEAKER_01": "Bo"}
    first, second = (client.post(f"/jobs/{named}/speakers", json=names) for _ in range(2))
    assert (first.status_code, second.json()) == (200, first.json())


def test_two_speakers_become_one_by_one_name(client: httpx.Client, conversation: Path) -> None:
    job = submit(client, conversation, diarize="true", hallucinations="keep")
    assert finished(client, job)["status"] == "completed"
    answer = client.post(f"/jobs/{job}/speakers", json={"SPEAKER_01": "SPEAKER_00"})
    assert [speaker["label"] for speaker in answer.json()["speakers"]] == ["SPEAKER_00"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"Ann": 1}', b"{}", b'{"Nobody": "Cy"}', b'{"Ann": " "}', b'{"Ann": "a\\nb"}', b"[" * 70_000],
)
def test_names_that_make_no_sense_are_refused(client: httpx.Client, named: str, body: bytes) -> None:
    client.post(f"/jobs/{named}/speakers", json={"SPEAKER_00": "Ann", "SPEAKER_01": "Bo"})
    assert_error(client.post(f"/jobs/{named}/speakers", content=body), 422, "invalid_parameter")


def test_speakers_of_a_job_without_result_cannot_be_renamed(client: httpx.Client, recordings: Recordings) -> None:
    assert_error(client.post("/jobs/never-was/speakers", json={"SPEAKER_00": "Ann"}), 404, "unknown_job")
    job = submit(client, recordings.talk("renamed.mp3", 60))
    assert_error(client.post(f"/jobs/{job}/speakers", json={"SPEAKER_00": "Ann"}), 409, "wrong_job_state")
    client.delete(f"/jobs/{job}")


def test_rttm_of_a_job_without_speakers_is_refused(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    job = submit(client, spoken_clip.path)
    assert finished(client, job)["status"] == "completed"
    assert_error(client.get(f"/jobs/{job}/result?response_format=rttm"), 409, "wrong_job_state")


def test_an_interrupted_job_has_the_speakers_of_one_that_was_not(tmp_path: Path) -> None:
    recording = tmp_path / "long.ogg"
    run_ffmpeg("-stream_loop", "1", "-i", str(CONVERSATION), "-c", "copy", str(recording))
    fields = {"diarize": "true", "language": "en", "hallucinations": "keep"}
    with serve(tmp_path) as service, connected(service) as http:
        whole = post(http, recording, UNSHARED, **fields).json()
        job = submit(http, recording, UNSHARED, **fields)
        assert wait_until(lambda: status(http, job)["progress"] >= 20, PATIENCE)
        service.process.terminate()
        service.process.wait()
    with serve(tmp_path) as service, connected(service) as http:
        assert status(http, job)["progress"] >= 20
        done = finished(http, job)
        assert (done["status"], done["attempts"]) == ("completed", 2)
        assert done["result"]["speakers"] == whole["speakers"]
        assert done["result"]["segments"] == whole["segments"]
