"""The runner's process from the inside: its wire, and its BentoML service without a socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from runners.client.client import RunnerClient
from runners.client.interface import RunnerState
from runners.client.wire import Reply
from runners.whisper import make_whisper_runner
from transcription.core.audio import Span, Timeline, Window
from transcription.core.errors import (
    InvalidParameter,
    ModelUnavailable,
    RefusedWindow,
    ServiceUnavailable,
    TranscriptionError,
    UnknownModel,
    as_error,
    as_failure,
)
from transcription.core.options import DecodeOptions, Priority, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import Segment, WindowResult, Word

TICKET = Ticket("request-1", Priority.BACKGROUND)
READY_SECONDS = 30.0


# ---- what travels


@pytest.mark.parametrize(
    "error",
    [
        UnknownModel("a", "b"),
        ModelUnavailable("a", "b"),
        InvalidParameter("a", "b"),
        RefusedWindow("a", "b"),
        ServiceUnavailable("a", "b", 12.5),
        TranscriptionError("a", "b"),
    ],
)
def test_an_error_survives_the_wire(error: TranscriptionError) -> None:
    copy = as_error(as_failure(error))

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_a_reply_survives_json() -> None:
    word = Word(" hi", 0.1, 0.2, 0.9)
    segment = Segment(0.0, 1.0, " hi", (1, 2), -0.1, 0.9, 0.01, 0.0, seek=10, words=(word,))
    reply = Reply(result=WindowResult("en", 0.9, (segment,)))
    adapter = TypeAdapter(Reply)

    assert adapter.validate_json(adapter.dump_json(reply)) == reply


def test_an_empty_reply_is_an_error() -> None:
    with pytest.raises(TranscriptionError):
        Reply().unpack()


class UnreachableProxy:
    """A dependency whose process does not answer."""

    async def state(self) -> RunnerState:
        raise TimeoutError

    async def transcribe(self, **_: Any) -> Reply:
        raise TimeoutError


def test_a_runner_that_does_not_answer_is_unavailable() -> None:
    client = RunnerClient(UnreachableProxy())
    window = Window(np.zeros(1600, np.int16), Timeline((Span(0, 1600),)))

    with pytest.raises(ServiceUnavailable) as failure:
        asyncio.run(client.state())
    assert failure.value.retry_after > 0
    with pytest.raises(ServiceUnavailable):
        asyncio.run(client.transcribe(window, DecodeOptions(model="demo"), TICKET))


# ---- the BentoML service


@contextmanager
def served(tmp_path: Path, **settings: Any) -> Iterator[TestClient]:
    service = make_whisper_runner(
        Settings(_env_file=None, whisper_model_dir=tmp_path, cache_dir=tmp_path / "cache", **settings)
    )
    with TestClient(service.to_asgi(is_main=False)) as client:
        yield client


def ask(client: TestClient, options: DecodeOptions, samples: Sequence[int]) -> Reply:
    body = {"samples": list(samples), "options": asdict(options), "ticket": asdict(TICKET)}
    response = client.post("/transcribe", json=body)
    assert response.status_code == 200, response.text
    return TypeAdapter(Reply).validate_json(response.content)


def state_of(client: TestClient) -> RunnerState:
    return TypeAdapter(RunnerState).validate_json(client.post("/state", json={}).content)


def wait_for(client: TestClient, condition: str) -> RunnerState:
    deadline = time.monotonic() + READY_SECONDS
    while not getattr(state := state_of(client), condition):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return state


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("models"), whisper_model="demo") as client:
        wait_for(client, "ready")
        yield client


def test_a_ready_runner_has_decoded_with_its_default_model(runner: TestClient) -> None:
    state = state_of(runner)

    assert state.ready and not state.error
    assert [model.name for model in state.models if model.loaded] == ["demo"]
    assert runner.get("/readyz").status_code == 200


def test_a_window_of_silence_is_answered(runner: TestClient) -> None:
    reply = ask(runner, DecodeOptions(model="demo", language="en"), [0] * 16000)

    assert reply.unpack().language == "en"


def test_an_answer_needs_no_schema(runner: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """BentoML asks it for the media type of each answer, unless that is stated, and makes it anew."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a JSON schema is made")

    monkeypatch.setattr(TypeAdapter, "json_schema", refuse)

    response = runner.post("/state", json={})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert ask(runner, DecodeOptions(model="demo", language="en"), [0] * 16000).unpack().language == "en"


@pytest.mark.parametrize(
    ("options", "samples", "error"),
    [
        (DecodeOptions(model="nope"), [0], UnknownModel),
        (DecodeOptions(model="../demo"), [0], UnknownModel),
        (DecodeOptions(model="demo", language="xx"), [0], InvalidParameter),
        (DecodeOptions(model="demo"), [], InvalidParameter),
    ],
)
def test_invalid_input_is_refused_with_the_reason(
    runner: TestClient, options: DecodeOptions, samples: list[int], error: type[TranscriptionError]
) -> None:
    with pytest.raises(error):
        ask(runner, options, samples).unpack()
