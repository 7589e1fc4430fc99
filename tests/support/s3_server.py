"""A real server that speaks S3, for tests: OpenStack Swift, in a process of its own (tests/support/serve_swift.py)."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.session import Session

from tests.support.service import ROOT, free_port

DEBIAN_PYTHON = Path("/usr/bin/python3")
START_SECONDS = 120.0  # a busy machine takes long to import it
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test:tester",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class S3Server:
    """Talked to by the tests with a client of their own. client: of botocore."""

    url: str
    client: Any

    @property
    def environment(self) -> dict[str, str]:
        """What a driver reads."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def make_bucket(self, bucket: str) -> None:
        self.client.create_bucket(Bucket=bucket)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def content(self, bucket: str, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete_object(Bucket=bucket, Key=key)

    def keys(self, bucket: str) -> list[str]:
        """All keys of complete objects, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def unfinished(self, bucket: str) -> list[str]:
        """The keys of multipart uploads that are neither complete nor given up."""
        return [entry["Key"] for entry in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def has_swift() -> bool:
    """Whether Debian's Python has Swift."""
    command = [DEBIAN_PYTHON, "-c", "import swift"]
    return DEBIAN_PYTHON.exists() and not subprocess.run(command, capture_output=True, check=False).returncode


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running server, empty. The test is skipped where none is installed."""
    if not has_swift():
        pytest.skip("python3-swift is needed: make tools")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [DEBIAN_PYTHON, "-m", "tests.support.serve_swift", folder, str(port)],
            cwd=ROOT,
            env={"PATH": os.defpath, **CREDENTIALS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            _wait_for(url, process)
            yield S3Server(url, _client(url))
        finally:
            process.terminate()


def _client(url: str) -> Any:
    return Session().create_client(
        "s3",
        endpoint_url=url,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
