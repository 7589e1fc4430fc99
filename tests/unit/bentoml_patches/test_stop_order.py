"""The processes of a service stop one kind after the other, and not the model's before those that need it."""

import asyncio

import pytest
from bentoml._internal.utils.circus import Arbiter
from tornado.ioloop import IOLoop

from transcription.bentoml_patches import stop_order


class Watcher:
    """Its process takes a moment to stop. told: what it notes that in."""

    priority = 0

    def __init__(self, name, told):
        self.name = name
        self._told = told

    async def _stop(self, close_output_streams):
        self._told.append(f"{self.name} stops")
        await asyncio.sleep(0)
        self._told.append(f"{self.name} has stopped")


@pytest.fixture
def told(monkeypatch):
    """What happens to the watchers of a supervisor that stops, in order."""
    monkeypatch.setattr(Arbiter, "_stop_watchers", Arbiter._stop_watchers)
    monkeypatch.setattr(Arbiter, "stop", Arbiter.stop)
    stop_order.install()
    told = []

    async def stop():
        watchers = [Watcher("service_whisper_runner", told), Watcher("service", told)]
        supervisor = Arbiter(watchers, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", loop=IOLoop.current())
        supervisor.stop_controller_and_close_sockets = lambda: None  # it has not started
        supervisor.exit_stack.callback(told.append, "the sockets are gone")
        await supervisor.stop()

    asyncio.run(stop())
    return told


def test_the_model_and_its_socket_are_there_until_the_processes_that_serve_http_have_ended(told):
    assert told == [
        "service stops",
        "service has stopped",
        "service_whisper_runner stops",
        "service_whisper_runner has stopped",
        "the sockets are gone",
    ]
