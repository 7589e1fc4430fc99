"""What is fetched from a URL, from real servers on this machine, and what ends it early."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import write_certificate
from transcription.core.errors import FileTooLarge, InvalidParameter, TooManyUploads, TranscriptionError, UnreachableUrl
from transcription.core.settings import Settings
from transcription.media.intake.fetch import MOST_ADDRESSES, Fetcher, nobody_counts
from transcription.media.intake.upload import Upload
from transcription.outbound.address_rules import Address
from transcription.outbound.http_client import SystemResolver, trusted_authorities

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
    """Gives everybody one answer. hangs: and does not close. trickles: and a byte now and then."""
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
    """A port whose queue is full: connecting to it takes for ever."""
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
    count: Callable[[int], None] = nobody_counts,
    **options: bool,
) -> tuple[Upload, bytes, list[bytes]]:
    """The upload, its content, and what the server was asked."""

    async def scenario() -> tuple[Upload, bytes, list[bytes]]:
        fetcher = Fetcher(settings, resolve or SystemResolver(), trusted_authorities())
        async with (
            asyncio.timeout(15),
            server(answer, **options) as (port, asked),
            fetcher.fetch(url.format(port=port), count) as upload,
        ):
            return upload, upload.path.read_bytes(), asked

    try:
        return asyncio.run(scenario())
    finally:
        folder = settings.temp_dir
        assert not folder.exists() or list(folder.iterdir()) == []  # however it ended


def refused(kind: type[TranscriptionError], settings: Settings, answer: bytes, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        fetch(settings, answer, **options)
    return caught.value.message


def test_a_file_arrives_whole_with_its_name_and_type(settings: Settings) -> None:
    upload, content, asked = fetch(settings, plain(Content_Type="audio/mpeg"))
    assert content == SOUND
    assert upload.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert (upload.filename, upload.content_type, upload.size) == ("a talk.mp3", "audio/mpeg", len(SOUND))
    assert asked[0].startswith(b"GET /talks/a%20talk.mp3?x=1 HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in asked[0].lower()
    assert b"cookie" not in asked[0].lower()


def test_a_server_may_name_the_file_and_not_know_its_type(settings: Settings) -> None:
    answer = plain(Content_Type="application/octet-stream", Content_Disposition='attachment; filename="b.wav"')
    upload, _, _ = fetch(settings, answer)
    assert (upload.filename, upload.content_type) == ("b.wav", "")


def test_a_name_is_never_a_path(settings: Settings) -> None:
    upload, _, _ = fetch(settings, plain(Content_Disposition='attachment; filename="../../etc/passwd"'))
    assert upload.path.parent == settings.temp_dir


def test_too_large_is_refused_by_what_is_declared_and_by_what_comes(settings: Settings) -> None:
    refused(FileTooLarge, settings, head(Content_Length=str(LIMIT + 1)), hangs=True)
    refused(FileTooLarge, settings, head() + ENDLESS * 3)


@pytest.mark.parametrize(
    "status", ["204 No Content", "206 Partial Content", "403 Forbidden", "404 Not Found", "500 No"]
)
def test_anything_but_200_is_no_recording(settings: Settings, status: str) -> None:
    assert f"answers {status[:3]}" in refused(UnreachableUrl, settings, plain(b"", status))


def test_a_packed_answer_is_refused(settings: Settings) -> None:
    assert "packed" in refused(UnreachableUrl, settings, plain(Content_Encoding="gzip"))


def test_a_server_that_says_nothing_is_left(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transcription.media.intake.fetch.CONNECT_SECONDS", 0.5)
    assert "no answer" in refused(UnreachableUrl, settings, b"", hangs=True)


def test_a_body_that_stalls_is_left(settings: Settings) -> None:
    assert "No byte came" in refused(UnreachableUrl, settings, head(Content_Length="50000") + b"x", hangs=True)


def test_a_body_that_trickles_is_left(settings: Settings) -> None:
    slow = settings.model_copy(update={"min_upload_rate": 1000})
    assert "less than 1000 bytes" in refused(UnreachableUrl, slow, head(Content_Length="50000"), trickles=True)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", head(Content_Length="50000") + b"x"])
def test_what_breaks_off_is_unreachable(settings: Settings, answer: bytes) -> None:
    assert "breaks off" in refused(UnreachableUrl, settings, answer)


def test_a_redirect_may_not_lead_inside(settings: Settings) -> None:
    answer = plain(b"", "302 Found", Location="http://127.0.0.2/secret")
    assert "https only" in refused(InvalidParameter, settings, answer)


@pytest.mark.parametrize("target", ["https://[::1/x", "http://[bad]/", "//["])
def test_a_redirect_to_what_is_no_url_is_unreachable(settings: Settings, target: str) -> None:
    assert "no URL" in refused(UnreachableUrl, settings, plain(b"", "302 Found", Location=target))


def test_redirects_have_an_end(settings: Settings) -> None:
    assert "more than 5 times" in refused(UnreachableUrl, settings, plain(b"", "302 Found", Location="/again"))


def test_a_name_is_asked_for_once_and_each_of_its_addresses_is_checked(settings: Settings) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return [ip_address("93.184.216.34"), ip_address("192.168.0.7")]

    outside = settings.model_copy(update={"url_allow": ""})
    with pytest.raises(InvalidParameter, match="public addresses only"):
        fetch(outside, url="https://files.example/a.mp3", resolve=resolve)
    assert asked == ["files.example"]


def test_when_one_address_refuses_the_next_is_tried(settings: Settings) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.9"), ip_address("127.0.0.1")]

    _, content, _ = fetch(settings, plain(), url="http://localhost:{port}/a.mp3", resolve=resolve)
    assert content == SOUND


def test_of_many_addresses_only_a_few_are_tried(settings: Settings) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(f"127.0.0.{last}") for last in (*range(2, 2 + MOST_ADDRESSES), 1)]

    with pytest.raises(UnreachableUrl, match="cannot be connected to"):
        fetch(settings, plain(), url="http://localhost:{port}/a.mp3", resolve=resolve)


def test_addresses_that_do_not_answer_share_the_time_to_connect(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transcription.media.intake.fetch.CONNECT_SECONDS", 1.0)

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(f"127.0.0.{last}") for last in (2, 3, 4)]

    with contextlib.ExitStack() as stack:
        port = stack.enter_context(deaf("127.0.0.2", 0))
        for address in ("127.0.0.3", "127.0.0.4"):
            stack.enter_context(deaf(address, port))
        started = time.monotonic()
        with pytest.raises(UnreachableUrl, match="cannot be connected to"):
            fetch(settings, url=f"http://localhost:{port}/a.mp3", resolve=resolve)
    assert 0.9 < time.monotonic() - started < 2


def test_what_arrives_is_counted_by_what_is_declared_and_by_what_comes(settings: Settings) -> None:
    def count(size: int) -> None:
        if size > len(SOUND) // 2:
            raise TooManyUploads("enough")

    refused(TooManyUploads, settings, head(Content_Length=str(len(SOUND))), hangs=True, count=count)
    refused(TooManyUploads, settings, head() + SOUND, count=count)


def test_a_host_that_is_not_there_is_unreachable(settings: Settings) -> None:
    async def unknown(host: str, port: int) -> Sequence[Address]:
        raise OSError("no such name, says 10.0.0.53")

    with pytest.raises(UnreachableUrl) as caught:
        fetch(settings, url="https://nowhere.example/a.mp3", resolve=unknown)
    assert "10.0.0.53" not in caught.value.message + caught.value.detail
    with pytest.raises(UnreachableUrl, match="cannot be connected to"):
        fetch(settings, url="http://127.0.0.1:1/a.mp3")


def test_over_tls_the_certificate_must_be_that_of_the_name(settings: Settings, tmp_path: Path) -> None:
    pem = tmp_path / "files.pem"
    certificate = write_certificate(pem, "localhost")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    trusting = ssl.create_default_context(cadata=certificate)
    trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT

    async def here(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    async def content(name: str, tls: ssl.SSLContext) -> bytes:
        fetcher = Fetcher(settings, here, tls)
        async with server(plain(), tls=served) as (port, _), fetcher.fetch(f"https://{name}:{port}/a.mp3") as upload:
            return upload.path.read_bytes()

    assert asyncio.run(content("localhost", trusting)) == SOUND
    with pytest.raises(UnreachableUrl) as caught:
        asyncio.run(content("localhost", trusted_authorities()))
    assert "certificate" in caught.value.detail


def test_proxies_in_the_environment_are_not_used(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    _, content, _ = fetch(settings, plain())
    assert content == SOUND
