"""/ui with a microphone: text while people speak, then a recording like any other."""

from __future__ import annotations

import json
import re

from playwright.sync_api import WebSocketRoute, expect

from tests.support.browser import PATIENCE_MS, OpenPage, violations
from tests.support.waiting import wait_until

# From the end of one pause between two takes to the end of another, a whole sentence is spoken.
COUNT_PAUSES = """
    window.pauses = 0;
    let quietSince = null;
    const listen = () => {
      const isQuiet = document.getElementById("level").value < 0.01;
      if (!isQuiet && quietSince && performance.now() - quietSince > 1000) window.pauses += 1;
      quietSince = isQuiet ? (quietSince ?? performance.now()) : null;
      requestAnimationFrame(listen);
    };
    listen();
"""
WAS_SAID = "window.pauses >= 2"
LOST = 3999  # a code that neither the page nor the service closes with


def test_what_is_spoken_is_seen_at_once_and_is_a_recording_afterwards(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#spoken")).to_contain_text("meeting", timeout=PATIENCE_MS)
    assert violations(page) == []
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_label("Loudness")).to_have_js_property("value", 0)  # the sample goes on being spoken
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Stop").click()
    visited.wait_until_done()
    expect(page.get_by_role("heading", name=re.compile(r"Recording 20.*\.webm"))).to_be_visible()
    expect(page.locator("#transcript")).to_contain_text("meeting")
    expect(page.get_by_role("button", name="Speak")).to_be_visible()
    assert visited.complaints == []


def test_without_the_right_to_the_microphone_the_page_says_what_to_do(visit: OpenPage) -> None:
    page = visit().page
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert")).to_contain_text("Allow it beside the address")
    expect(page.get_by_role("button", name="Speak")).to_be_enabled()


def test_without_a_connection_the_recording_goes_on(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    busy = '{"type": "error", "error": "service_unavailable", "message": "Too many sessions.", "retry_after": 5}'

    def refuse(socket: WebSocketRoute) -> None:
        socket.on_message(lambda _: (socket.send(busy), socket.close(code=1013)))

    page.route_web_socket("**/live", refuse)
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "Too many sessions. Try again in 5 s. There is no text while you speak now, but the recording goes on"
    )
    page.evaluate(COUNT_PAUSES)
    assert wait_until(lambda: page.evaluate(WAS_SAID))
    page.get_by_role("button", name="Stop").click()
    visited.wait_until_done()
    expect(page.locator("#transcript")).to_contain_text("monday")


def test_at_the_limit_of_live_audio_the_recording_goes_on(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    limit = {"type": "error", "error": "too_many_live_minutes", "message": "You have sent 1 minute.", "retry_after": 9}

    def end(socket: WebSocketRoute) -> None:
        for event in ({"type": "session", "session": "s", "token": "t"}, limit, {"type": "finished", "duration": 1.0}):
            socket.send(json.dumps(event))

    page.route_web_socket("**/live", end)
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "You have sent 1 minute. Try again in 9 s. There is no text while you speak now, but the recording goes on"
    )
    page.get_by_role("button", name="Stop").click()


def test_after_a_lost_connection_the_text_goes_on(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    connections: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        connections.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/live", pass_on)
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#spoken")).to_contain_text("meeting", timeout=PATIENCE_MS)
    connections[0].close(code=LOST)
    said = page.locator("#spoken p")
    expect(said.nth(said.count() + 1)).to_contain_text("meeting", timeout=PATIENCE_MS)
    assert len(connections) == 2
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="Stop").click()
    visited.wait_until_done()


def test_a_key_that_is_refused_is_named(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    refused = {"error": "invalid_api_key", "message": "The API key is not valid.", "request_id": "r-1"}
    page.route("**/models", lambda route: route.fulfill(status=403, body=json.dumps(refused)))
    page.add_init_script(
        "window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: 1006 })); } send() {} }"
    )
    page.reload()
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert")).to_contain_text("The API key is not valid. There is no text while you speak now")
    page.get_by_role("button", name="Stop").click()


def test_stop_before_the_session_has_begun_gives_the_microphone_back(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    page.add_init_script("window.WebSocket = class { static OPEN = 1; readyState = 0; send() {} close() {} }")
    page.reload()
    page.get_by_role("button", name="Speak").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Speak")).to_be_visible()
    expect(page.locator("#work")).to_be_hidden()
    assert visited.complaints == []
