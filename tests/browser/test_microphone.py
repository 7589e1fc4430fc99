"""/ui with a microphone: text while people speak, then a recording like any other."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.browser import PATIENCE_MS, OpenPage, violations


def test_what_is_spoken_is_seen_at_once_and_is_a_recording_afterwards(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page = visited.page
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#spoken")).to_contain_text("meeting", timeout=PATIENCE_MS)
    assert violations(page) == []
    page.get_by_role("button", name="Pause").click()
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
    page.route_web_socket("**/live", lambda socket: socket.close(code=1013))
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert")).to_contain_text("the recording goes on")
    page.wait_for_timeout(4000)  # a sentence
    page.get_by_role("button", name="Stop").click()
    visited.wait_until_done()
    expect(page.locator("#transcript")).to_contain_text("monday")
