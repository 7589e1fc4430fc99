"""Random requests to every documented route of a real service, with values on which parsers have failed.

The answer is never a 5xx, except 501 and 503, which the OpenAPI document lists, and every error has the usual shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from service import edge
from tests.fuzz.test_fuzz import keep_looking, look
from tests.support.service import LocalService, local_service

DOCUMENTED = {501, 503}
DIGITS = b"9" * 5000
DEPTH = 5000
# As bytes: what HTTP carries, valid UTF-8 or not.
NASTY = (
    b"",
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"9223372036854775808",
    DIGITS,
    b"-" + DIGITS,
    b"1." + DIGITS,
    b"[" * DEPTH,
    b'{"a":' * DEPTH,
    b"[" * DEPTH + b"]" * DEPTH,
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b'"\\u0000"',
    b"\xf0\x9f\x98\x80" * 50,
    b"../../etc/passwd",
    b"%",
    b"%zz",
    b"null",
    b"true",
    b"http://[::1",
    b"https://example.org:99999999/",
    b"a" * 3000,
)
HEADERS = (
    "Range",
    "If-None-Match",
    "If-Modified-Since",
    "If-Range",
    "Last-Event-ID",
    "Idempotency-Key",
    "Cookie",
    "Accept",
    "Accept-Language",
    "Cache-Control",
    "X-Request-ID",
    "X-API-Key",
    "Authorization",
    "Traceparent",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Prefix",
    "Origin",
    "Content-Disposition",
    "Prefer",
)
TYPES = (
    b"application/json",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data",
    b"multipart/form-data; boundary=b",
    b"multipart/form-data; boundary=" + b"b" * 257,
    b"multipart/form-data; boundary*=utf-8''%ff",
    b"application/json; charset=nothing",
    b"\xff",
)

values = st.one_of(st.sampled_from(NASTY), st.binary(max_size=40))
# A header has no control characters: the HTTP server refuses those before any parser of ours sees them.
header_values = values.map(lambda value: bytes(byte for byte in value if byte >= 32 and byte != 127).strip()[:8000])


@cache
def operations() -> list[tuple[str, str]]:
    """(path, method) of all that is documented."""
    paths = edge().app.openapi()["paths"]
    return sorted((path, method.upper()) for path, item in paths.items() for method in item)


@cache
def parameters() -> list[str]:
    """The names of all documented parameters in queries."""
    described = [operation for item in edge().app.openapi()["paths"].values() for operation in item.values()]
    listed = [each for operation in described for each in operation.get("parameters", ())]
    return sorted({each["name"] for each in listed if each["in"] == "query"})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with local_service({}, tmp_path_factory.mktemp("service") / "log") as running:
        yield running


def form(fields: list[tuple[str, bytes]], file: bytes | None) -> bytes:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields
    ]
    if file is not None:
        parts.append(b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nx\r\n' % file)
    return b"".join(parts) + b"--b--\r\n"


@st.composite
def requests(draw: st.DrawFn) -> httpx.Request:
    """Any documented operation, or another method on its path."""
    path, method = draw(st.sampled_from(operations()))
    method = draw(st.sampled_from([method] * 5 + ["PUT", "HEAD", "OPTIONS", "DELETE", "POST"]))
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + quote(draw(values)[:1500]) + rest.partition("}")[2]
    names = st.sampled_from([*parameters(), "file", "prompt", "timestamp_granularities[]", "cursor", "task_id", "x"])
    query = draw(st.lists(st.tuples(names, values), max_size=3))
    sent = "&".join(f"{name}={quote(value[:1500])}" for name, value in query)
    headers = draw(st.lists(st.tuples(st.sampled_from(HEADERS), header_values), max_size=3))
    kind = draw(st.sampled_from(TYPES)) if method in ("POST", "PUT") else b""
    fields = draw(st.lists(st.tuples(names, values), max_size=4))
    body = draw(st.one_of(values, st.just(form(fields, draw(st.one_of(st.none(), values.map(lambda v: v[:500])))))))
    return httpx.Request(
        method,
        f"http://service{path}?{sent}",
        headers=[*((name.encode(), value) for name, value in headers), (b"content-type", kind)],
        content=body if kind else b"",
    )


def problem(response: httpx.Response) -> str:
    """What is wrong with an answer, "" if nothing is."""
    if response.status_code >= 500 and response.status_code not in DOCUMENTED:
        return f"{response.status_code}: {response.text[:300]}"
    if response.status_code < 400 or response.request.method == "HEAD":
        return ""
    try:
        answer = response.json()
    except json.JSONDecodeError:
        return f"{response.status_code} without a JSON body: {response.text[:300]}"
    ours = isinstance(answer, dict) and "error" in answer
    return "" if ours else f"{response.status_code} in another shape: {response.text[:300]}"


def test_any_request_is_answered_without_an_error_of_the_service(service: LocalService) -> None:
    base, client = httpx.URL(service.url), httpx.Client(timeout=60)

    @look
    @given(request=requests())
    def search(request: httpx.Request) -> None:
        request.url = request.url.copy_with(host=base.host, port=base.port)
        request.headers["host"] = f"{base.host}:{base.port}"
        note(f"{request.method} {request.url} {request.headers.raw} {request.content[:500]!r}")
        response = client.send(request, stream=True)
        try:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                response.read()
                assert problem(response) == ""
        finally:
            response.close()

    with client:
        keep_looking(search)
