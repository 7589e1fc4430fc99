"""Recordings are fetched from URLs, served by real servers on this machine, within limits."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.certificates import write_certificate
from tests.support.leftovers import files_under
from transcription.core.errors import (
    FileTooLarge,
    InsufficientStorage,
    InvalidParameter,
    ServiceUnavailable,
    TooManyUploads,
    TranscriptionError,
    UnreachableUrl,
)
from transcription.core.settings import Settings
from transcription.media.intake.fetch import MAX_ADDRESSES, Fetcher, no_limit
from transcription.media.intake.upload import Upload
from transcription.media.intake.uploads_folder import uploads_folder
from transcription.outbound.address_rules import Address
from transcription.outbound.http_client import SystemResolver

LIMIT = 100_000  # bytes
SOUND = b"sound" * 1000
ENDLESS = b"x" * 50_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        temp_dir=tmp_path / "uploads", url_allow="localhost, 127.0.0.1", max_file_size=LIMIT, upload_timeout=1
    )


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def plain(content: bytes = SOUND, status: str = "200 OK", **headers: str) -> bytes:
    return head(status, Content_Length=str(len(content)), **headers) + content


@asynccontextmanager
async def server(answer: bytes, *, hangs: bool = False, trickles: bool = False, tls: ssl.SSLContext | None = None):
    """Sends the same response to all. hangs: without closing. trickles: a byte now and then."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        try:
            await writer.drain()
            while trickles:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.2)
            if hangs:
                await asyncio.sleep(30)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], asked
    finally:
        listening.close()


@contextlib.contextmanager
def deaf(address: str, port: int) -> Iterator[int]:
    """A port whose queue is full, so that a connection attempt hangs."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind((address, port))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def fetch(
    settings: Settings,
    answer: bytes = b"",
    url: str = "http://127.0.0.1:{port}/talks/a%20talk.mp3?x=1",
    resolve: object = None,
    count: Callable[[int], None] = no_limit,
    **options: bool,
) -> tuple[Upload, bytes, list[bytes]]:
    """The upload, its content, and the request that the server received."""

    async def scenario() -> tuple[Upload, bytes, list[bytes]]:
        fetcher = Fetcher(settings, resolve or SystemResolver())
        async with (
            asyncio.timeout(15),
            server(answer, **options) as (port, asked),
            fetcher.fetch(url.format(port=port), count) as upload,
        ):
            return upload, upload.path.read_bytes(), asked

    try:
        return asyncio.run(scenario())
    finally:
        assert files_under(settings.temp_dir) == []  # however it ended


def refused(kind: type[TranscriptionError], settings: Settings, answer: bytes, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        fetch(settings, answer, **options)
    return caught.value.message


def test_a_file_is_fetched_with_its_name_and_type(settings: Settings) -> None:
    upload, content, asked = fetch(settings, plain(Content_Type="audio/mpeg"))
    assert content == SOUND
    assert upload.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert (upload.filename, upload.content_type, upload.size) == ("a talk.mp3", "audio/mpeg", len(SOUND))
    assert asked[0].startswith(b"GET /talks/a%20talk.mp3?x=1 HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in asked[0].lower()
    assert b"cookie" not in asked[0].lower()


def test_a_response_may_have_a_file_name_and_a_generic_type(settings: Settings) -> None:
    answer = plain(Content_Type="application/octet-stream", Content_Disposition='attachment; filename="b.wav"')
    upload, _, _ = fetch(settings, answer)
    assert (upload.filename, upload.content_type) == ("b.wav", "")


@pytest.mark.parametrize("name", ["запись.mp3", "ä.mp3", "录音.mp3"])
def test_a_response_may_have_a_file_name_in_utf_8(settings: Settings, name: str) -> None:
    answer = plain(Content_Disposition=f'attachment; filename="{name}"')
    upload, _, _ = fetch(settings, answer)
    assert upload.filename == name


def test_a_file_name_is_never_used_as_a_path(settings: Settings) -> None:
    upload, _, _ = fetch(settings, plain(Content_Disposition='attachment; filename="../../etc/passwd"'))
    assert upload.path.parent == uploads_folder(settings)


def test_a_file_that_is_too_large_is_refused_by_its_declared_and_its_actual_size(settings: Settings) -> None:
    refused(FileTooLarge, settings, head(Content_Length=str(LIMIT + 1)), hangs=True)
    refused(FileTooLarge, settings, head() + ENDLESS * 3)


def test_a_file_for_which_there_is_no_space_is_refused_by_its_declared_size(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transcription.system.disk.free_space", lambda _: settings.min_free_disk)
    assert "TEMP_DIR" in refused(InsufficientStorage, settings, head(Content_Length="1"), hangs=True)


@pytest.mark.parametrize(
    "status", ["204 No Content", "206 Partial Content", "403 Forbidden", "404 Not Found", "500 No"]
)
def test_only_status_200_is_accepted(settings: Settings, status: str) -> None:
    assert f"answers {status[:3]}" in refused(UnreachableUrl, settings, plain(b"", status))


def test_a_compressed_response_is_refused(settings: Settings) -> None:
    assert "compressed" in refused(UnreachableUrl, settings, plain(Content_Encoding="gzip"))


def test_a_server_that_does_not_respond_is_abandoned(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transcription.media.intake.fetch.CONNECT_SECONDS", 0.5)
    assert "did not respond" in refused(UnreachableUrl, settings, b"", hangs=True)


def test_a_body_that_stalls_is_abandoned(settings: Settings) -> None:
    assert "sent no data" in refused(UnreachableUrl, settings, head(Content_Length="50000") + b"x", hangs=True)


def test_a_body_that_is_too_slow_is_abandoned(settings: Settings) -> None:
    slow = settings.model_copy(update={"min_upload_rate": 1000})
    assert "fewer than 1000 bytes" in refused(UnreachableUrl, slow, head(Content_Length="50000"), trickles=True)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", head(Content_Length="50000") + b"x"])
def test_a_truncated_response_is_unreachable(settings: Settings, answer: bytes) -> None:
    assert "closed the connection early" in refused(UnreachableUrl, settings, answer)


def test_a_redirect_to_a_private_address_is_refused(settings: Settings) -> None:
    answer = plain(b"", "302 Found", Location="http://127.0.0.2/secret")
    message = refused(InvalidParameter, settings, answer)
    assert message.startswith("The address that url redirects to is refused.")
    assert "https only" in message


@pytest.mark.parametrize(
    ("target", "reason"), [("ftp://localhost/a", "is not a URL"), ("http://a:b@localhost/a", "contains a user name")]
)
def test_what_is_wrong_with_a_redirect_is_not_said_of_the_url(settings: Settings, target: str, reason: str) -> None:
    answer = plain(b"", "302 Found", Location=target)
    assert f"The address that url redirects to {reason}" in refused(InvalidParameter, settings, answer)


def test_a_redirect_is_read_as_browsers_read_it(settings: Settings) -> None:
    async def scenario() -> tuple[str, bytes]:
        async with (
            server(plain()) as (port, asked),
            server(plain(b"", "302 Found", Location=f"http://127.0.0.1:{port}/ä b%20c.mp3?d=e f")) as (first, _),
            Fetcher(settings, SystemResolver()).fetch(f"http://127.0.0.1:{first}/") as upload,
        ):
            return upload.filename, asked[0]

    name, asked = asyncio.run(scenario())
    assert name == "ä b c.mp3"
    assert asked.startswith(b"GET /%C3%A4%20b%20c.mp3?d=e%20f HTTP/1.1")


@pytest.mark.parametrize("target", ["https://[::1/x", "http://[bad]/", "//["])
def test_a_redirect_to_an_invalid_url_is_unreachable(settings: Settings, target: str) -> None:
    assert "an invalid URL" in refused(UnreachableUrl, settings, plain(b"", "302 Found", Location=target))


def test_the_number_of_redirects_is_limited(settings: Settings) -> None:
    assert "more than 5 times" in refused(UnreachableUrl, settings, plain(b"", "302 Found", Location="/again"))


def test_a_name_is_resolved_once_and_all_its_addresses_are_checked(settings: Settings) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return [ip_address("93.184.216.34"), ip_address("192.168.0.7")]

    outside = settings.model_copy(update={"url_allow": ""})
    with pytest.raises(InvalidParameter, match="public addresses only"):
        fetch(outside, url="https://files.example/a.mp3", resolve=resolve)
    assert asked == ["files.example"]


def test_the_next_address_is_tried_if_one_refuses_the_connection(settings: Settings) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.9"), ip_address("127.0.0.1")]

    _, content, _ = fetch(settings, plain(), url="http://localhost:{port}/a.mp3", resolve=resolve)
    assert content == SOUND


def test_the_number_of_addresses_tried_is_limited(settings: Settings) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(f"127.0.0.{last}") for last in (*range(2, 2 + MAX_ADDRESSES), 1)]

    with pytest.raises(UnreachableUrl, match="cannot be connected to"):
        fetch(settings, plain(), url="http://localhost:{port}/a.mp3", resolve=resolve)


def test_unresponsive_addresses_share_the_time_to_connect(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transcription.media.intake.fetch.CONNECT_SECONDS", 0.9)
    connect, given = httpx.AsyncHTTPTransport.handle_async_request, []

    async def noted(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        given.append(request.extensions["timeout"]["connect"])
        return await connect(transport, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", noted)

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(f"127.0.0.{last}") for last in (2, 3, 4)]

    with contextlib.ExitStack() as stack:
        port = stack.enter_context(deaf("127.0.0.2", 0))
        for address in ("127.0.0.3", "127.0.0.4"):
            stack.enter_context(deaf(address, port))
        with pytest.raises(UnreachableUrl, match="cannot be connected to"):
            fetch(settings, url=f"http://localhost:{port}/a.mp3", resolve=resolve)
    assert given == pytest.approx([0.3, 0.3, 0.3])


def test_the_declared_and_the_received_bytes_are_counted(settings: Settings) -> None:
    def count(size: int) -> None:
        if size > len(SOUND) // 2:
            raise TooManyUploads("enough")

    refused(TooManyUploads, settings, head(Content_Length=str(len(SOUND))), hangs=True, count=count)
    refused(TooManyUploads, settings, head() + SOUND, count=count)


def test_a_host_that_cannot_be_resolved_or_connected_to_is_unreachable(settings: Settings) -> None:
    async def unknown(host: str, port: int) -> Sequence[Address]:
        raise OSError("no such name, says 10.0.0.53")

    with pytest.raises(UnreachableUrl) as caught:
        fetch(settings, url="https://nowhere.example/a.mp3", resolve=unknown)
    assert "10.0.0.53" not in caught.value.message + caught.value.detail
    with pytest.raises(UnreachableUrl, match="cannot be connected to"):
        fetch(settings, url="http://127.0.0.1:1/a.mp3")


def test_name_servers_that_do_not_answer_are_not_the_fault_of_the_url(settings: Settings) -> None:
    async def nothing(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    message = refused(ServiceUnavailable, settings, b"", url="https://files.example/a.mp3", resolve=nothing)
    assert "can resolve no host" in message


def test_the_certificate_must_match_the_name(settings: Settings, tmp_path: Path) -> None:
    pem = tmp_path / "files.pem"
    certificate = write_certificate(pem, "localhost")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    trusting = ssl.create_default_context(cadata=certificate)
    trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT

    async def here(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    async def content(name: str, tls: ssl.SSLContext | None) -> bytes:
        fetcher = Fetcher(settings, here, tls)
        async with server(plain(), tls=served) as (port, _), fetcher.fetch(f"https://{name}:{port}/a.mp3") as upload:
            return upload.path.read_bytes()

    assert asyncio.run(content("localhost", trusting)) == SOUND
    with pytest.raises(UnreachableUrl) as caught:
        asyncio.run(content("localhost", None))
    assert "certificate" in caught.value.detail


def test_proxies_in_the_environment_are_not_used(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    _, content, _ = fetch(settings, plain())
    assert content == SOUND
