"""The path prefix of a request, and the path of its route."""

from __future__ import annotations

from typing import Any

import pytest

from transcription.api.middleware.root_path import PathPrefix
from transcription.core.settings import InvalidSettings, Settings, load_settings

PROXY = "10.0.0.1"


def split(path: str, *forwarded: str, peer: str = PROXY, root_path: str = "") -> tuple[str, str]:
    headers = [(b"x-forwarded-prefix", value.encode("latin-1")) for value in forwarded]
    scope: dict[str, Any] = {"path": path, "client": (peer, 1234), "headers": headers}
    return PathPrefix(Settings(_env_file=None, root_path=root_path, trusted_proxies=PROXY)).split(scope)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/speech/models", "/models"),  # the proxy keeps the prefix
        ("/models", "/models"),  # the proxy removes it, or there is none
        ("/speech/speech/x", "/speech/x"),
        ("/speechless", "/speechless"),
        ("/speech/", "/"),
        ("/speech", ""),
        ("/speech//health", "//health"),
    ],
)
def test_the_route_is_found_whether_or_not_the_proxy_removes_the_prefix(path: str, route: str) -> None:
    assert split(path, root_path="/speech") == ("/speech", route)
    assert split(path, "/speech") == ("/speech", route)


def test_without_a_prefix_the_path_is_that_of_the_route() -> None:
    assert split("/models") == ("", "/models")


def test_the_header_of_a_trusted_proxy_takes_precedence_over_the_setting() -> None:
    assert split("/models", "/other", root_path="/speech") == ("/other", "/models")


def test_the_header_of_anyone_else_is_ignored() -> None:
    assert split("/models", "/other", peer="203.0.113.5", root_path="/speech") == ("/speech", "/models")


def test_the_prefixes_of_a_chain_of_proxies_are_joined() -> None:
    assert split("/models", "/a", "/b/") == ("/a/b", "/models")
    assert split("/models", "/a, /b") == ("/a/b", "/models")


@pytest.mark.parametrize(
    "header",
    ["//evil.example", "evil.example", "https://evil.example", "/a/../b", "/a?b", "/a\\b", "/%2e", "/a b", "/a\u00e4"],
)
def test_a_header_that_is_not_a_plain_path_is_ignored(header: str) -> None:
    assert split("/models", header, root_path="/speech") == ("/speech", "/models")


@pytest.mark.parametrize(("value", "prefix"), [("", ""), ("/", ""), ("/speech/", "/speech"), ("/a/b.c", "/a/b.c")])
def test_a_final_slash_of_the_setting_does_not_matter(value: str, prefix: str) -> None:
    assert Settings(_env_file=None, root_path=value).root_path == prefix


@pytest.mark.parametrize("value", ["speech", "//evil.example", "/a/../b", "https://example.com/speech", "/a b"])
def test_a_setting_that_is_no_path_prevents_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ROOT_PATH", value)
    with pytest.raises(InvalidSettings, match=r"ROOT_PATH=.*must be a path such as /speech"):
        load_settings()
