"""Every private hook into BentoML and uvicorn: one file each, with the version and the reason.

Written for BentoML 1.4.39 and uvicorn 0.54. Check each file when one of them is upgraded.

`install`, `install_edge` and `install_supervisor` replace parts of the server for the whole process. `RunnerSession`,
`UnreadInput` and `Deferred` are used where they are needed: in the runner's client, the native API and service.py.
Nothing is imported at the top: `light_worker` runs before BentoML is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bentoml.images import Image
    from starlette.types import Scope


def install(routes: Iterable[str]) -> None:
    """Apply the patches to this process. Call before BentoML builds its applications.

    routes: templates of the application's paths, such as /status/{job_id}, for the labels of request metrics.
    """
    from transcription.bentoml_patches import route_metrics, time_limit, tracer_provider

    time_limit.install()
    route_metrics.install(routes)
    tracer_provider.install()


def install_supervisor() -> None:
    """Apply the patches that only the supervisor needs. Call before it starts its processes."""
    from transcription.bentoml_patches import api_memory, light_worker, stop_order

    light_worker.install()
    api_memory.install()
    stop_order.install()


def install_edge(
    routes: Iterable[str], route_path: Callable[[Scope], str], write_timeout: float, max_connections: int
) -> None:
    """Apply the patches that only the process that serves HTTP to clients needs. Call before uvicorn starts.

    routes: as for `install`. route_path: the path of a request without the prefix that a proxy adds. write_timeout,
    max_connections: as for `bounded_connections.install`.
    """
    # They import uvicorn, which the supervisor does not.
    from transcription.bentoml_patches import bounded_connections, route_metrics, sockets

    bounded_connections.install(write_timeout, max_connections)
    sockets.install()
    route_metrics.install(routes, route_path)


def image() -> Image:
    """The container image that `bentoml containerize` builds."""
    from transcription.bentoml_patches.container_image import IMAGE

    return IMAGE
