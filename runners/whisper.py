"""The runner as a BentoML service: a `ModelHost` in a process of its own, behind two calls and two probes.

Behaviour of BentoML 1.4.39, found by experiment:

- `bentoml serve service:TranscriptionService` starts this service in a process of its own, which imports `service.py`
  again and finds the service by its name among the dependencies, so a factory may make it.
- Calls between the two processes are pickled onto a Unix socket: numpy arrays travel as raw bytes, dataclasses as
  dictionaries that pydantic turns back into dataclasses. JSON works too.
- An exception loses its type and message on the way, therefore `wire.Reply`.
- A client that disconnects closes its connection, which BentoML does not notice: `cancel_on_disconnect` does.
- A process that stands still is not noticed: `Watchdog` kills it.
- Served alone, the runner refuses pickles, and `RunnerAccess` everything but the wire in `runners/pool/`.
- A killed process is replaced within seconds; calls that arrive meanwhile wait in the socket's backlog, calls that were
  in flight fail at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import bentoml
import numpy as np
from bentoml import server_context
from bentoml.validators import ContentType, DType
from starlette.requests import ClientDisconnect

from runners.client.interface import RUNNER_NAME, RunnerState
from runners.client.wire import Reply
from runners.failed import failed
from runners.placement import CUDA, available_cores, choose_placement
from runners.pool.access import RunnerAccess
from runners.pool.messages import PREFIX
from runners.pool.server import RunnerServer
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import ServiceUnavailable, TranscriptionError
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.settings import Settings
from transcription.system.garbage import collect_as_usual
from transcription.system.malloc import KEEP_MEMORY
from transcription.system.signals import call_on_sigterm
from transcription.system.supervision import end_with_supervisor
from transcription.system.watchdog import Watchdog
from transcription.telemetry.logs import request_context

if TYPE_CHECKING:
    from runners.host import ModelHost

Pcm = Annotated[np.ndarray, DType("int16")]  # BentoML's way to state the type, so that JSON becomes int16 too
# Stated, because BentoML derives it from a JSON schema that it makes anew for each answer: 13 ms of the CPU.
AS_JSON = ContentType("application/json")


class WhisperRunner:
    """Owns the model and nothing else. See `runners.client.interface.Runner` for its contract."""

    def __init__(self, settings: Settings) -> None:
        # Imported here, because only the runner's process decodes, and BentoML imports this module in three.
        from runners.host import ModelHost

        self._host = ModelHost(settings)
        self._watchdog_timeout = settings.watchdog_timeout
        self._watchdog = Watchdog(settings.watchdog_timeout, lambda: self._host.ready)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def start(self) -> None:
        """Begin to load the default model in the background."""
        end_with_supervisor(self._watchdog_timeout)
        self._watchdog.start()
        self._host.start()
        collect_as_usual()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Finish the running batches and refuse the waiting windows."""
        self._watchdog.stop()
        self._host.stop()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def transcribe(
        self, samples: Pcm, options: DecodeOptions, ticket: Ticket, ctx: bentoml.Context
    ) -> Annotated[Reply, AS_JSON]:
        """Decode one window. samples: int16, shape (n,), 16 kHz mono, 0 < n <= 480 000."""
        with request_context(ticket.request_id):
            return await self._reply(samples, options, ticket, ctx)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def state(self) -> Annotated[RunnerState, AS_JSON]:
        """The state that `/health` and `/models` show. Never waits for the model."""
        return await self._host.state()

    async def __is_alive__(self) -> bool:
        """The answer of BentoML's /livez: False once a batch has not ended within its deadline."""
        return self._host.alive

    async def __is_ready__(self) -> bool:
        """The answer of BentoML's /readyz: True once the default model has decoded something in this process."""
        return self._host.ready

    async def _reply(self, samples: Pcm, options: DecodeOptions, ticket: Ticket, ctx: bentoml.Context) -> Reply:
        try:
            work = self._host.decode(samples, options, ticket)
            return Reply(result=await cancel_on_disconnect(ctx.request.receive, work))
        except ClientDisconnect:
            # No client reads this. Without an answer BentoML's time limit would keep the request, and a shutdown,
            # waiting.
            return failed(ServiceUnavailable("The client disconnected."))
        except TranscriptionError as error:
            return failed(error)


def is_alone() -> bool:
    """Whether this process serves the runner as its own deployment, not as a dependency of the API."""
    return server_context.service_type == "entry_service"


def make_whisper_runner(settings: Settings) -> bentoml.Service[WhisperRunner]:
    """The BentoML service of the runner, for `bentoml.depends`.

    Raises InvalidSettings when this machine cannot do what the settings ask.
    """
    placement = choose_placement(settings)
    hosts: list[ModelHost] = []  # the one of this process, once it has started
    server = RunnerServer(lambda: hosts[-1])

    class ConfiguredRunner(WhisperRunner):
        __doc__ = WhisperRunner.__doc__

        def __init__(self) -> None:
            super().__init__(settings)
            hosts.append(self._host)

        @bentoml.on_startup  # type: ignore[untyped-decorator]
        async def drain_before_the_end(self) -> None:
            """Send clients elsewhere as soon as the process is told to stop; what it has accepted is finished."""
            if is_alone():
                call_on_sigterm(server.drain)

    if placement.device == CUDA:
        # BentoML shows the process the first so many GPUs, whichever of them WHISPER_DEVICE names.
        resources: dict[str, Any] = {"gpu": max(placement.numbers) + 1}
    else:
        resources = {"cpu": str(available_cores())}
    service: bentoml.Service[WhisperRunner] = bentoml.service(
        name=RUNNER_NAME,
        workers=1,
        resources=resources,
        envs=[{"name": name, "value": value} for name, value in KEEP_MEMORY.items()],
        # The queue is bounded by the scheduler, not by a number of connections.
        traffic={"timeout": settings.request_timeout},
        http={"host": settings.host, "port": settings.port},  # served alone
    )(ConfiguredRunner)
    service.mount_asgi_app(server.app, path=PREFIX, name="pool")
    service.add_asgi_middleware(RunnerAccess, token=settings.runner_token, is_alone=is_alone)
    return service
