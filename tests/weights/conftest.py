"""One service with the released weights, for all files of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import LocalService, connected
from tests.support.speech import Hear
from tests.support.weights import service_with


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with service_with(tmp_path_factory.mktemp("weights"), "base", "tiny.en") as running:
        yield running


@pytest.fixture(scope="package")
def client(service: LocalService) -> Iterator[httpx.Client]:
    with connected(service) as http:
        yield http


@pytest.fixture(scope="package")
def hear(client: httpx.Client) -> Hear:
    """The JSON of a recording; parameters as form fields."""

    def post(path: Path, **fields: str) -> dict[str, Any]:
        response = client.post("/transcribe", files={"file": (path.name, path.read_bytes())}, data=fields)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    return post
