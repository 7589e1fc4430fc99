"""/ui when answers come in another order than they were asked for."""

from __future__ import annotations

from pathlib import Path

import httpx
from playwright.sync_api import Page, Route, expect

from tests.browser.test_page_editing import SAID, edit, job_of, result, saved, until
from tests.browser.test_page_tabs import type_at_end
from tests.support.browser import SHORT, OpenPage
from tests.support.media_files import film
from tests.support.service import LocalService
from tests.support.waiting import wait_until

CUES = "[...(document.getElementById('player').textTracks[0]?.cues ?? [])].map(cue => cue.text)"


def hold_first_save(page: Page) -> list[Route]:
    """It waits for the test, once it is made."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held or route.request.method != "PUT":
            route.fallback()
        else:
            held.append(route)

    page.route("**/transcript", hold)
    return held


def until_held(page: Page, held: list[Route]) -> None:
    assert wait_until(lambda: page.evaluate("true") and bool(held))


def test_subtitles_are_in_the_last_layout_chosen(visit: OpenPage, tmp_path: Path) -> None:
    visited = visit()
    page = visited.page
    held: list[Route] = []
    page.route("**/result?response_format=vtt", lambda route: held.append(route))  # without a layout
    visited.transcribe(film(tmp_path / "film.webm", SHORT, 4))
    visited.wait_until_done()
    page.get_by_text("Subtitle layout").click()
    page.get_by_label("Characters per line").fill("12")
    page.get_by_label("Lines per cue").fill("1")
    page.keyboard.press("Tab")
    in_short_lines = f"{CUES}.length > 2 && {CUES}.every(cue => cue.length <= 12)"
    until(page, in_short_lines)
    until_held(page, held)
    for route in held:
        route.continue_()
    page.wait_for_timeout(500)  # long enough for an answer to replace the cues
    until(page, in_short_lines)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_save_waits_for_the_one_before(visit: OpenPage, site: LocalService) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    edit(page)
    held = hold_first_save(page)
    type_at_end(page, " and friday")
    page.keyboard.press("Control+s")
    page.keyboard.type(" at noon")
    page.keyboard.press("Control+s")
    until_held(page, held)
    held[0].continue_()
    saved(page, 2)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert f"{SAID} and friday at noon" in result(site, page, response_format="text").text


def test_a_save_is_of_the_recording_that_was_open_also_if_it_has_to_wait(visit: OpenPage, site: LocalService) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    edit(page)
    job, held = job_of(page), hold_first_save(page)
    type_at_end(page, " and friday")
    page.keyboard.press("Control+s")
    page.keyboard.type(" at noon")
    page.keyboard.press("Control+s")
    until_held(page, held)
    visited.transcribe(SHORT.with_name("en-day.m4a"))
    expect(page.locator("#work-title")).to_have_text("en-day.m4a")
    held[0].continue_()

    def text() -> str:
        return httpx.get(f"{site.url}/jobs/{job}/result", params={"response_format": "text"}).text

    assert wait_until(lambda: page.evaluate("true") and f"{SAID} and friday at noon" in text())
    expect(page.get_by_role("alert")).to_be_hidden()


def test_saving_twice_before_the_refusal_is_shown_does_not_overwrite_somebody_elses_corrections(
    visit: OpenPage, site: LocalService
) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    edit(page)
    theirs = {"segments": [{"start": 0.5, "end": 2, "text": "theirs"}]}
    httpx.put(f"{site.url}/jobs/{job_of(page)}/transcript", json=theirs).raise_for_status()
    held = hold_first_save(page)
    type_at_end(page, " and friday")
    page.keyboard.press("Control+s")
    page.keyboard.press("Control+s")
    until_held(page, held)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    held[0].continue_()
    expect(page.get_by_role("alert")).to_contain_text("Someone else has changed this transcript")
    page.wait_for_timeout(500)  # long enough for a second save to be sent
    assert not sent
    assert result(site, page, response_format="text").text.strip() == "theirs"
