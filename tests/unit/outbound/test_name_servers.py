"""Name servers that do not answer: whether they are ours, or those of one host."""

import asyncio
import socket

import pytest

from transcription.outbound import http_client
from transcription.outbound.http_client import NO_HOST, resolves_nothing

SILENT = socket.gaierror(socket.EAI_AGAIN, "try again")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "no such name")


def is_ours(failure, answer):
    """answer: what the name servers say to a name that no host has; None for nothing at all."""
    asked = []

    async def resolve(host, port):
        asked.append(host)
        if answer is None:
            await asyncio.Event().wait()
        raise answer

    ours = asyncio.run(resolves_nothing(failure, resolve))
    assert set(asked) <= {NO_HOST}
    return ours


@pytest.mark.parametrize("failure", [SILENT, TimeoutError()])
@pytest.mark.parametrize("answer", [SILENT, None])
def test_without_an_answer_for_a_name_that_nobody_has_it_is_ours(failure, answer, monkeypatch):
    monkeypatch.setattr(http_client, "NO_HOST_SECONDS", 0.05)
    assert is_ours(failure, answer)


@pytest.mark.parametrize("failure", [SILENT, TimeoutError()])
def test_those_of_one_host_leave_others_answered(failure):
    assert not is_ours(failure, UNKNOWN)


def test_a_name_that_does_not_exist_is_an_answer():
    assert not is_ours(UNKNOWN, SILENT)
