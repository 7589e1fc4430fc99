"""WS /live against the running service, with real speech."""

import json
import subprocess

import httpx_ws
import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import connect

from benchmarks.diarization.conversations import Stretch, read_rttm
from benchmarks.diarization.words import count_wrong
from tests.support.conversation import CONVERSATION
from tests.support.live import live_client, pcm_of
from tests.support.live_doors import opened
from tests.support.media_files import FFMPEG, run_ffmpeg
from tests.support.waiting import wait_until
from transcription.core.audio import SAMPLE_RATE

TOO_LARGE = 1_048_577


@pytest.fixture(scope="module")
def speech(spoken_clip):
    return pcm_of(spoken_clip.path)


@pytest.fixture(scope="module")
def said(client, spoken_clip):
    """What POST /transcribe makes of the same recording."""
    answer = client.post("/transcribe", files={"file": spoken_clip.path.read_bytes()}, data={"language": "en"})
    return answer.json()["text"]


@pytest.fixture
def live(client):
    with live_client(client) as connection:
        yield connection


def same(text, said):
    """Whether a text is that of the file, but for one word.

    How much has arrived when the demo model first hears a word depends on the machine, and confirmed text stands.
    """
    pairs = list(zip(text.split(), said.split(), strict=False))
    return len(text.split()) == len(said.split()) and sum(one != other for one, other in pairs) <= 1


def metric(client, name):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_speech_becomes_the_text_of_a_file(live, speech, said):
    live.start(language="en", words=True)
    live.speak(speech)
    (final,) = live.finish()
    assert same(final["text"], said)
    assert [word["word"] for word in final["words"]] == final["text"].split()
    assert [event["state"] for event in live.of("speech")] == ["started", "stopped"]
    assert "".join(event["confirmed"] for event in live.of("partial")) == final["text"]
    assert [event["n"] for event in live.events if "n" in event] == list(range(1, len(live.events)))


def test_a_session_ends_in_any_format(live, speech, said):
    live.start(language="en")
    live.speak(speech)
    text = live.finish()[0]["text"]
    assert same(text, said)
    for name, start in (("srt", "1\n00:00:00,"), ("vtt", "WEBVTT"), ("json", "{"), ("text", text)):
        live.send(type="transcript", format=name)
        event = live.until("transcript")
        assert event["format"] == name
        assert event["content"].startswith(start)
        assert text in event["content"]


@pytest.mark.parametrize(
    ("encoding", "options"),
    [("webm", ("-c:a", "libopus", "-f", "webm")), ("ogg", ("-c:a", "libopus", "-f", "ogg"))],
)
def test_what_a_browser_records_is_decoded_while_it_arrives(live, spoken_clip, said, encoding, options):
    made = subprocess.run(
        [FFMPEG, "-v", "error", "-i", spoken_clip.path, *options, "-"], check=True, capture_output=True
    ).stdout
    live.start(language="en", encoding=encoding)
    live.speak(made)
    assert same(" ".join(final["text"] for final in live.finish()), said)


@pytest.mark.parametrize(
    "damage",
    [lambda made, at: made[:at] + made[at + 2500 :], lambda made, at: made[:at] + b"\xff" * 2500 + made[at + 2500 :]],
    ids=["a chunk is missing", "a chunk is overwritten"],
)
@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("webm", ("-cluster_time_limit", "60000", "-cluster_size_limit", "1000000")),
        ("ogg", ("-page_duration", "100000")),
    ],
    ids=["one cluster", "pages"],
)
def test_after_damage_to_a_recording_its_text_goes_on(live, spoken_clip, said, container, options, damage):
    twice = ("-filter_complex", "[0:a]asplit[a][b];[a]apad=pad_dur=1.5[c];[c][b]concat=n=2:v=0:a=1")
    made = subprocess.run(
        [
            *(FFMPEG, "-v", "error", "-i", spoken_clip.path, *twice),
            *("-c:a", "libopus", "-b:a", "64k", *options, "-f", container, "-"),
        ],
        check=True,
        capture_output=True,
    ).stdout
    live.start(language="en", encoding=container)
    live.speak(damage(made, len(made) // 5))
    assert same(live.finish()[-1]["text"], said)


def test_pcm_of_another_rate_is_converted(live, spoken_clip, said):
    live.start(language="en", sample_rate=24_000)
    live.speak(pcm_of(spoken_clip.path, 24_000))
    assert same(live.finish()[0]["text"], said)


def test_the_client_may_end_utterances_itself(live, speech, said):
    live.start(language="en", turn_detection=None)
    for _ in range(2):
        live.speak(speech)
        live.send(type="commit")
        assert same(live.until("final")["text"], said)
    assert live.of("speech") == []


def test_silence_gives_no_text(live):
    live.start(language="en")
    live.speak(bytes(2 * SAMPLE_RATE * 3))
    assert live.finish() == []


def test_a_dropped_connection_is_resumed_where_it_was(client, speech, said):
    half = len(speech) // 4 * 2
    with live_client(client) as dropped:
        session = dropped.start(language="en")
        dropped.speak(speech[:half])
        assert dropped.until("speech")["state"] == "started"
        last = dropped.events[-1]["n"]
        # Not a close frame: the network is gone.
        dropped.socket.stream.close()
    with live_client(client) as live:
        live.send(type="resume", session=session["session"], token=session["token"], after=last)
        resumed = live.next()
        assert resumed["resumed"]
        live.speak(speech[resumed["received"] :])
        assert same(live.finish()[0]["text"], said)


def test_a_client_that_went_away_before_it_read_the_last_text_gets_it_over_another_connection(
    client, service, speech, said
):
    with opened("live", service, wyoming_port=0) as gone:
        gone.say(speech)
        session = gone.event()
        gone.end()
        assert wait_until(lambda: metric(client, "transcription_live_sessions") == 0)  # all of the text is there
        gone.connection.close(CloseCode.GOING_AWAY)
    with live_client(client) as live:
        live.send(type="resume", session=session["session"], token=session["token"], after=0)
        assert live.next()["type"] == "session"
        live.until("finished")
        assert same(live.of("final")[0]["text"], said)


@pytest.mark.parametrize("token", ["wrong", "ä"])
def test_a_session_is_resumed_only_with_its_token(client, live, token):
    session = live.start()
    with live_client(client) as other:
        other.send(type="resume", session=session["session"], token=token)
        assert other.next()["error"] == "unknown_session"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("no JSON", "invalid_parameter"),
        ('{"type":"sing"}', "invalid_parameter"),
        ('{"type":"start"}', "invalid_parameter"),
        ('{"type":"transcript","format":"doc"}', "invalid_parameter"),
        (b"\x00", "invalid_parameter"),
        (bytes(TOO_LARGE), "invalid_parameter"),
    ],
)
def test_what_makes_no_sense_is_an_error_event_and_the_session_goes_on(live, speech, said, frame, code):
    live.start(language="en")
    live.socket.send_bytes(frame) if isinstance(frame, bytes) else live.socket.send_text(frame)
    error = live.until("error")
    assert error["error"] == code
    assert error["message"]
    live.speak(speech)
    assert same(live.finish()[0]["text"], said)


def test_a_session_starts_with_a_message_that_can_be_corrected(live):
    live.socket.send_bytes(bytes(320))
    assert "start" in live.next()["message"]
    assert live.start(model="nonsense")["error"] == "unknown_model"
    assert live.start(language="en")["type"] == "session"


def test_bytes_that_are_no_recording_are_an_error_and_not_the_end_of_the_service(live, client):
    live.start(encoding="webm")
    for _ in range(50):
        live.socket.send_bytes(b"no webm " * 1000)
    live.send(type="finish")
    assert live.until("error")["error"] == "undecodable_media"
    live.until("finished")
    assert client.get("/health").status_code == 200


def test_so_are_a_few_bytes_that_end_before_they_are_looked_at(live, spoken_clip, tmp_path):
    recorded = tmp_path / "other.ogg"
    run_ffmpeg("-i", str(spoken_clip.path), "-c:a", "libopus", str(recorded))
    live.start(encoding="webm")
    live.socket.send_bytes(recorded.read_bytes())
    live.send(type="finish")
    assert live.until("error")["error"] == "undecodable_media"
    live.until("finished")


@pytest.mark.parametrize("share", [0, 200])
def test_a_recording_that_ends_before_its_first_sound_is_no_error(live, spoken_clip, tmp_path, share):
    recorded = tmp_path / "made.webm"
    run_ffmpeg("-i", str(spoken_clip.path), "-c:a", "libopus", str(recorded))
    live.start(encoding="webm")
    live.socket.send_bytes(recorded.read_bytes()[:share])
    live.send(type="finish")
    assert live.next()["type"] == "finished"


def test_a_page_of_another_site_is_refused(client):
    with (
        pytest.raises(httpx_ws.WebSocketUpgradeError) as refused,
        live_client(client, {"Origin": "https://evil.example"}),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_of_the_service_itself_is_not(client):
    origin = str(client.base_url).rstrip("/")
    with live_client(client, {"Origin": origin}, ["transcription.live"]) as live:
        assert live.socket.subprotocol == "transcription.live"
        assert live.start()["type"] == "session"


def test_a_closed_session_is_gone_from_the_metrics(client, speech):
    with live_client(client) as live:
        live.start(language="en")
        live.speak(speech)
        live.finish()
    assert wait_until(lambda: metric(client, "transcription_live_sessions") == 0)
    assert metric(client, "transcription_live_confirm_seconds_count") > 0
    assert metric(client, "transcription_live_audio_seconds_total") > 0
    assert metric(client, "transcription_live_real_time_factor_sum") > 0


def test_a_file_is_transcribed_beside_live_sessions(client, speech, said, spoken_clip):
    with live_client(client) as live:
        live.start(language="en")
        live.speak(speech)
        answer = client.post("/transcribe", files={"file": spoken_clip.path.read_bytes()}, data={"language": "en"})
        assert answer.json()["text"] == said
        assert same(live.finish()[0]["text"], said)


def test_speakers_are_told_apart(live):
    """The text is kept whatever it is: the embedded model is not made for this speech."""
    live.start(language="en", words=True, diarize=True, hallucinations="keep")
    live.speak(pcm_of(CONVERSATION))
    finals = live.finish()
    words = [word for final in finals for word in final["words"] if "speaker" in word]
    said = [Stretch(word["start"], word["end"], word["speaker"]) for word in words]
    wrong, counted = count_wrong(said, read_rttm(CONVERSATION.with_suffix(".rttm").read_text()))
    assert counted > 20
    assert wrong <= counted * 0.1
    segments = [segment for final in finals for segment in final["segments"]]
    assert {segment["speaker"] for segment in segments} == {"SPEAKER_00", "SPEAKER_01"}
    live.send(type="transcript", format="json")
    transcript = json.loads(live.until("transcript")["content"])
    assert [speaker["label"] for speaker in transcript["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert [segment["speaker"] for segment in transcript["segments"]] == [each["speaker"] for each in segments]


@pytest.mark.parametrize("path", ["/nothing", "/jobs", "/v1/nothing"])
def test_where_there_is_no_websocket_the_answer_says_so(service, path):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{service.url.replace('http', 'ws', 1)}{path}")
    assert refused.value.response.status_code == 404
    assert '"not_found"' in refused.value.response.body.decode()
