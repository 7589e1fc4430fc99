"""A server that speaks S3's HTTP protocol, for tests: moto's, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import httpx

START_SECONDS = 120.0  # a busy machine takes long to import it
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
# Whoever overwrites must be somebody; nobody looks at the signature.
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}


@dataclass(frozen=True, slots=True)
class S3Server:
    """Talked to without a driver."""

    url: str
    client: httpx.Client

    @property
    def environment(self) -> dict[str, str]:
        """What a driver reads."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def make_bucket(self, bucket: str) -> None:
        self.client.put(f"{self.url}/{bucket}").raise_for_status()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put(f"{self.url}/{bucket}/{key}", content=content, headers=SIGNED).raise_for_status()

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete(f"{self.url}/{bucket}/{key}", headers=SIGNED).raise_for_status()

    def keys(self, bucket: str) -> list[str]:
        """All keys of complete objects, in order."""
        return self._texts(f"{bucket}?list-type=2", "Key")

    def unfinished(self, bucket: str) -> list[str]:
        """The keys of multipart uploads that are neither complete nor given up."""
        return self._texts(f"{bucket}?uploads", "Key")

    def _texts(self, path: str, tag: str) -> list[str]:
        answer = self.client.get(f"{self.url}/{path}").raise_for_status()
        return [element.text or "" for element in ElementTree.fromstring(answer.content).iter() if _is(element, tag)]


@contextmanager
def s3_server(environment: Mapping[str, str] = {}) -> Iterator[S3Server]:
    """A server while the context lasts. environment: settings of moto's."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client() as client:
            server = S3Server(f"http://127.0.0.1:{port}", client)
            _wait_for(server, process)
            yield server
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _wait_for(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.client.get(f"{server.url}/moto-api/")
            return
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _is(element: ElementTree.Element, tag: str) -> bool:
    return element.tag.rpartition("}")[2] == tag
