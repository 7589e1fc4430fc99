"""Keys and client secrets of WebSockets, which browsers send as subprotocols and other programs as headers."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send

from transcription.api.app import route_table
from transcription.api.caller import CALLER
from transcription.api.client_secrets import GRANT, ClientSecrets, Grant
from transcription.api.middleware.api_keys import make_key
from transcription.api.middleware.authentication import AuthenticationMiddleware
from transcription.api.middleware.client_secret import ClientSecretMiddleware
from transcription.core.settings import Settings

KEY = make_key()
SECRETS = ClientSecrets("k" * 32)
PREFIX = "openai-insecure-api-key."
REALTIME = "/v1/realtime"


async def answer_caller(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    grant = scope.get(GRANT)
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope[CALLER].name} {grant.session if grant else None}"})


def answer(*subprotocols: str, path: str = REALTIME, key: str = KEY, **headers: str) -> str:
    settings = Settings(enable_api_key=True, api_key=key)
    app = ClientSecretMiddleware(AuthenticationMiddleware(answer_caller, settings, route_table()), SECRETS)
    with TestClient(app).websocket_connect(path, list(subprotocols), headers=headers) as websocket:
        return websocket.receive_text()


def secret(caller: str | None = "default", seconds: int = 3600) -> str:
    """Some are made when the tests are collected, long before they run."""
    return SECRETS.make(Grant(caller, {"model": "base"}), seconds)[0]


def test_a_client_secret_is_used_in_the_name_of_the_key_that_made_it() -> None:
    assert answer("realtime", PREFIX + secret()) == "default {'model': 'base'}"


@pytest.mark.parametrize("header", ["Authorization: Bearer ", "Authorization: bearer  ", "api-key: ", "X-API-Key: "])
def test_a_client_secret_in_a_header_is_used_in_the_name_of_the_key_that_made_it(header: str) -> None:
    name, _, scheme = header.partition(": ")
    assert answer(**{name: scheme + secret()}) == "default {'model': 'base'}"


def test_an_api_key_that_begins_like_a_secret_is_a_key() -> None:
    key = "ek_" + KEY
    assert answer(Authorization=f"Bearer {key}", key=key) == "default None"


@pytest.mark.parametrize(
    "subprotocols", [("realtime", PREFIX + KEY), ("token", KEY)], ids=["openai's browsers", "deepgram's browsers"]
)
def test_a_key_is_read_from_the_subprotocols(subprotocols: tuple[str, ...]) -> None:
    assert answer(*subprotocols) == "default None"


def test_a_key_is_read_from_deepgrams_header() -> None:
    assert answer(Authorization=f"Token {KEY}") == "default None"


@pytest.mark.parametrize(
    ("subprotocols", "status"),
    [
        ((), 401),
        (("realtime", PREFIX + make_key()), 403),
        (("realtime", PREFIX + secret()[:-1]), 403),
        (("realtime", PREFIX + secret(seconds=-1)), 403),
        (("realtime", PREFIX + secret("gone")), 403),
        (("realtime", PREFIX + secret(None)), 403),
        (("token", secret()), 403),
    ],
    ids=["no key", "unknown key", "forged", "expired", "of a key that is gone", "made without keys", "as a key"],
)
def test_others_are_refused(subprotocols: tuple[str, ...], status: int) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused:
        answer(*subprotocols)
    assert refused.value.status_code == status


@pytest.mark.parametrize(
    ("refused_secret", "reason"),
    [
        (secret()[:-1], "The client secret is invalid"),
        (secret(seconds=-1), "The client secret has expired"),
        (secret("gone"), "The API key of this client secret is no longer valid"),
    ],
    ids=["forged", "expired", "of a key that is gone"],
)
def test_a_wrong_client_secret_in_a_header_is_refused_as_what_it_is(refused_secret: str, reason: str) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused:
        answer(Authorization=f"Bearer {refused_secret}")
    assert refused.value.status_code == 403
    assert refused.value.json()["message"].startswith(reason)


@pytest.mark.parametrize("path", ["/live", "/v1/listen"])
@pytest.mark.parametrize("sent_as", ["subprotocol", "header"])
def test_a_client_secret_is_for_one_route(path: str, sent_as: str) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused:
        if sent_as == "header":
            answer(path=path, Authorization=f"Bearer {secret()}")
        else:
            answer("realtime", PREFIX + secret(), path=path)
    assert refused.value.status_code == 403
    assert "is valid for /v1/realtime alone" in refused.value.json()["message"]
