"""WebSockets without compression, and with time to finish when the service stops.

uvicorn 0.54 compresses messages if the client offers it: audio gets no smaller, and every frame costs time. On a stop
it closes all WebSockets at once. It gives up a client whose answer to a ping waits behind audio that is not read yet,
and ends a connection because of one message that is too large. BentoML 1.4.39 starts uvicorn and has no setting for
these.
"""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

from uvicorn.config import WS_PROTOCOLS
from uvicorn.protocols.websockets.wsproto_impl import WebsocketBuffer, WSProtocol
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from transcription.bentoml_patches.application import application

STOP_SECONDS = 12.0  # for the last texts; then the connection is closed, whatever the application does
LARGEST_MESSAGE = 1_048_576  # bytes, or characters of text; an application may have a lower limit


class Socket(WSProtocol):
    """The server's side of a WebSocket."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        """Arguments: those that uvicorn passes to WSProtocol."""
        config.ws_per_message_deflate = False
        super().__init__(config, *args, **kwargs)
        self.app = application(self.app)
        self.buffer = TruncatedMessage(LARGEST_MESSAGE)
        self._heard_at = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Note that the client is there."""
        self._heard_at = self.loop.time()
        super().data_received(data)

    def keepalive_timeout(self) -> None:
        """Wait on while the answer may be behind audio: the application does not read, or more is arriving."""
        assert self.ping_timeout is not None
        silent = self.loop.time() - self._heard_at
        if self.read_paused or silent < self.ping_timeout:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    def handle_close(self, event: CloseConnection) -> None:
        """Tell a client that breaks the protocol, with text that is no UTF-8 for example, why it is disconnected."""
        if self.conn.state is ConnectionState.OPEN:
            self.transport.write(self.conn.send(CloseConnection(code=event.code, reason=event.reason)))
        super().handle_close(event)

    async def run_asgi(self) -> None:
        """Serve, and then wait for a client that does not read for no longer than for one that does not close."""
        await super().run_asgi()
        if self in self.connections:
            if self.close_timer:
                self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def shutdown(self) -> None:
        """Close the connection after a while. The application, which knows of the stop, closes it before."""
        self.loop.call_later(STOP_SECONDS, super().shutdown)


class TruncatedMessage(WebsocketBuffer):
    """A message that arrives in parts, up to its limit and one more unit, by which the application knows the rest.

    The unit is that of the application: a byte, or of text a character.
    """

    def extend(self, event: TextMessage | BytesMessage) -> None:
        """Take a part."""
        if self.value is None:
            self.value = StringIO() if isinstance(event, TextMessage) else BytesIO()
        missing = max(0, self.max_length + 1 - self.length)
        self.value.write(event.data[:missing])  # type: ignore[arg-type]
        self.length += len(event.data)


def install() -> None:
    """Use Socket in every server that this process starts from now on: the protocol that uvicorn calls "auto"."""
    WS_PROTOCOLS["auto"] = f"{__name__}:{Socket.__name__}"
