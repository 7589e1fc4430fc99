"""Runners of an older version refuse what they do not know; they get windows without it."""

from __future__ import annotations

import asyncio

import pytest

from runners.pool.server import RunnerServer
from tests.support.fixed_cost_runner import FixedCostHost
from tests.support.pool import fixed_cost, pool_of, served, window
from transcription.core.options import DecodeOptions, Ticket


@pytest.mark.parametrize(
    ("unknown", "told"),
    [("", ("ada", True)), ("callers", ("", True)), ("detected_languages", ("ada", False))],
    ids=["this version", "no callers", "no detected languages"],
)
def test_a_runner_is_told_what_it_knows(tmp_path, monkeypatch, unknown, told):
    announcement, decode, heard = RunnerServer._announcement, FixedCostHost.decode, []

    async def announce(runner):
        latest = await announcement(runner)
        return latest.model_copy(update={unknown: False}) if unknown else latest

    async def noted(host, samples, options, ticket, delivery):
        heard.append((ticket.caller, options.language_detected))
        return await decode(host, samples, options, ticket, delivery)

    monkeypatch.setattr(RunnerServer, "_announcement", announce)
    monkeypatch.setattr(FixedCostHost, "decode", noted)
    options = DecodeOptions("demo", language="en", language_detected=True)

    async def scenario():
        async with served(fixed_cost(tmp_path)) as (_, port), pool_of([port]) as pool:
            await pool.transcribe(window(1), options, Ticket("request-1", caller="ada"))

    asyncio.run(scenario())
    assert heard == [told]
