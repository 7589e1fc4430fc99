"""A request target in absolute form is served as that in origin form with its host."""

import asyncio

import pytest

from transcription.bentoml_patches.application import OriginForm


def served(target, host=b"proxy.example", kind="http"):
    """Path, raw path and hosts as the application has them. target: without query."""
    scopes = []

    async def application(scope, receive, send):
        scopes.append(scope)

    headers = [(b"accept", b"*/*"), (b"host", host)]
    scope = {"type": kind, "raw_path": target, "path": target.decode(), "headers": headers}
    asyncio.run(OriginForm(application)(scope, None, None))
    (seen,) = scopes
    return seen["path"], seen["raw_path"], [value for name, value in seen["headers"] if name == b"host"]


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "host"),
    [
        (b"http://us.example:3000/health", "/health", b"/health", b"us.example:3000"),
        (b"HTTPS://us.example/a%20b", "/a b", b"/a%20b", b"us.example"),
        (b"http://us.example", "/", b"/", b"us.example"),
        (b"http://[::1]:3000//health", "//health", b"//health", b"[::1]:3000"),
        (b"http://evil.example%2Fhealth", "/", b"/", b"evil.example%2Fhealth"),
        (b"http:///health", "/health", b"/health", b""),
        (b"/health", "/health", b"/health", b"proxy.example"),
        (b"/http://us.example/health", "/http://us.example/health", b"/http://us.example/health", b"proxy.example"),
        (b"*", "*", b"*", b"proxy.example"),
    ],
)
def test_the_path_and_the_host_are_those_of_the_target(target, path, raw_path, host):
    assert served(target) == (path, raw_path, [host])


def test_a_websocket_has_them_too():
    assert served(b"ws://us.example/live", kind="websocket") == ("/live", b"/live", [b"us.example"])
