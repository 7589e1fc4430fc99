"""Windows name their caller to runners that know callers."""

from __future__ import annotations

import asyncio

import pytest

from runners.pool.server import RunnerServer
from tests.support.fixed_cost_runner import FixedCostHost
from tests.support.pool import fixed_cost, pool_of, served, window
from transcription.core.options import DecodeOptions, Ticket


@pytest.mark.parametrize(("knows", "told"), [(True, "ada"), (False, "")])
def test_a_runner_of_an_older_version_gets_windows_without_it(tmp_path, monkeypatch, knows, told):
    announcement, decode, callers = RunnerServer._announcement, FixedCostHost.decode, []

    async def announce(runner):
        return (await announcement(runner)).model_copy(update={"callers": knows})

    async def noted(host, samples, options, ticket, delivery):
        callers.append(ticket.caller)
        return await decode(host, samples, options, ticket, delivery)

    monkeypatch.setattr(RunnerServer, "_announcement", announce)
    monkeypatch.setattr(FixedCostHost, "decode", noted)

    async def scenario():
        async with served(fixed_cost(tmp_path)) as (_, port), pool_of([port]) as pool:
            await pool.transcribe(window(1), DecodeOptions("demo"), Ticket("request-1", caller="ada"))

    asyncio.run(scenario())
    assert callers == [told]
