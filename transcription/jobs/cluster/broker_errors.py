"""Private hooks into kombu 5.7: a Redis that cannot be used is a connection error, which a worker survives.

Two kinds of errors are something else without them, so that Celery ends the worker. After a connection error it goes
on with a new connection: the message is delivered again, or the dispatcher sends another one.

- When Redis is lost while messages are unacknowledged, Celery closes the connection, and then its channels once more. A
  closed channel that wants to restore or to acknowledge a message looks for the address of a connection that it no
  longer has.
- A primary that has lost its replicas, its disk or its memory refuses to write. Taking a message is a write.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel
from redis import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from transcription.jobs.store.redis.connection import is_full

NO_REPLICAS = "NOREPLICAS"

_connection_parameters = Channel._connparams  # type: ignore[attr-defined]


def install() -> None:
    """Install the hooks, once or more."""
    Channel._connparams = _parameters  # type: ignore[attr-defined]


def _parameters(channel: Channel, asynchronous: bool = False) -> dict[str, Any]:
    if channel.connection is None or channel.connection.client is None:
        raise RedisConnectionError("The connection to the broker is closed.")
    parameters: dict[str, Any] = _connection_parameters(channel, asynchronous=asynchronous)
    parameters["connection_class"] = _ended_by_refusals(parameters["connection_class"])
    return parameters


def _ended_by_refusals(kind: type[Connection]) -> type[Connection]:
    class EndedByRefusals(kind):  # type: ignore[valid-type,misc]
        def read_response(self, *args: Any, **options: Any) -> Any:
            try:
                return super().read_response(*args, **options)
            except ResponseError as error:
                if not is_full(error) and not str(error).startswith(NO_REPLICAS):
                    raise
                self.disconnect()  # the next one may lead to another primary
                raise RedisConnectionError(str(error)) from error

    return EndedByRefusals
