"""/ui in two tabs of one browser."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, Route, expect

from tests.browser.test_page_editing import SAID, edit, job_of, result, saved, until
from tests.support.browser import SHORT, OpenPage, Visit
from tests.support.service import LocalService
from tests.support.waiting import wait_until


def shows(page: Page, text: str) -> None:
    """The only segment has this text, in its field if that is open."""
    field = page.locator(".segment textarea")
    if field.count():
        expect(field).to_have_value(text)
    else:
        expect(page.locator(".segment p")).to_have_text(text)


def two_tabs(visited: Visit) -> tuple[Page, Page]:
    """Two tabs in which one transcript is corrected. `heard` in each is the last version that the other told."""
    one = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    other = one.context.new_page()
    other.goto(one.url)
    for page in (one, other):
        expect(page.locator("#done")).to_be_visible()
        edit(page)
        # Made after the page's own, so it hears last.
        page.evaluate("""() => {
            window.channel = new BroadcastChannel("transcription-corrections");
            channel.onmessage = ({ data }) => { window.heard = data.version; };
        }""")
    return one, other


def tell_nothing_while_typing(page: Page) -> None:
    """Stop the clock after which what was typed is kept and told: the tab stays one that was just typed in."""
    page.evaluate("""() => {
        const start = window.setTimeout;
        window.setTimeout = (act, ms) => (ms === 500 ? 0 : start(act, ms));
    }""")


def type_at_end(page: Page, text: str) -> None:
    page.locator(".word").last.click()
    page.keyboard.press("End")
    page.keyboard.type(text)


def test_two_tabs_correct_one_transcript_together(visit: OpenPage, site: LocalService) -> None:
    visited = visit()
    one, other = two_tabs(visited)
    one.locator(".word").first.click()
    one.keyboard.press("Home")
    one.keyboard.type("really ")
    shows(other, f"really {SAID}")
    expect(other.locator("#saved")).to_contain_text("Not saved yet")
    other.locator(".word").last.click()
    other.keyboard.press("End")
    other.keyboard.type(" and friday")
    shows(one, f"really {SAID} and friday")  # in the field that is open
    one.keyboard.press("Control+z")  # takes back what the other one did last
    shows(other, f"really {SAID}")
    one.keyboard.press("Control+Shift+z")
    shows(other, f"really {SAID} and friday")
    other.keyboard.press("Control+s")
    for page in (one, other):
        saved(page, 1)
        expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    assert f"really {SAID} and friday" in result(site, one, response_format="text").text
    one.keyboard.press("End")
    one.keyboard.type(" at noon")
    one.keyboard.press("Control+s")  # on top of what the other one saved
    for page in (one, other):
        saved(page, 2)
        shows(page, f"really {SAID} and friday at noon")
        expect(page.get_by_role("alert")).to_be_hidden()
    other.get_by_role("button", name="Delete en-meeting.mp3").click()
    expect(one.locator("#recent")).to_be_hidden()
    assert visited.complaints == []


def test_a_tab_that_was_put_aside_has_what_another_one_did(visit: OpenPage) -> None:
    visited = visit()
    one = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    other = one.context.new_page()
    other.goto(one.url)
    expect(other.locator("#done")).to_be_visible()
    # A page that the browser put aside when another was opened in its tab is told nothing.
    other.evaluate("() => { BroadcastChannel.prototype.postMessage = () => {}; }")
    edit(other)
    other.locator(".word").last.click()
    other.keyboard.press("End")
    other.keyboard.type(" and friday")

    def comes_back() -> bool:
        one.evaluate("() => { window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })); }")
        return "and friday" in one.locator(".segment p").inner_text()

    assert wait_until(comes_back)


def test_a_tab_that_was_just_typed_in_knows_that_another_one_saved(visit: OpenPage) -> None:
    one, other = two_tabs(visit())
    tell_nothing_while_typing(other)
    type_at_end(other, " and friday")
    type_at_end(one, " at noon")
    one.keyboard.press("Control+s")
    saved(one, 1)
    until(other, "window.heard === 1")
    shows(other, f"{SAID} and friday")
    expect(other.locator("#saved")).to_contain_text("Not saved yet")
    other.keyboard.press("Control+s")
    for page in (one, other):
        saved(page, 2)
        shows(page, f"{SAID} and friday")
        expect(page.get_by_role("alert")).to_be_hidden()


def test_what_another_tab_corrects_during_a_save_stays(visit: OpenPage, site: LocalService) -> None:
    one, other = two_tabs(visit())
    type_at_end(one, " and friday")
    shows(other, f"{SAID} and friday")
    held: list[Route] = []
    one.route("**/transcript", lambda route: held.append(route) if route.request.method == "PUT" else route.fallback())
    with one.expect_request("**/transcript"):
        one.keyboard.press("Control+s")
    type_at_end(other, " at noon")
    shows(one, f"{SAID} and friday at noon")
    assert wait_until(lambda: one.evaluate("true") and bool(held))
    held[0].continue_()
    until(other, "window.heard === 1")
    for page in (one, other):
        shows(page, f"{SAID} and friday at noon")
        expect(page.locator("#saved")).to_contain_text("Not saved yet; kept in this browser.")
    other.keyboard.press("Control+s")
    for page in (one, other):
        saved(page, 2)
        expect(page.get_by_role("alert")).to_be_hidden()
    assert f"{SAID} and friday at noon" in result(site, one, response_format="text").text


def test_the_leave_to_overwrite_somebody_elses_corrections_is_one_tabs_alone(
    visit: OpenPage, site: LocalService
) -> None:
    visited = visit()
    one, other = two_tabs(visited)
    theirs = {"segments": [{"start": 0.5, "end": 2, "text": "theirs"}]}
    httpx.put(f"{site.url}/jobs/{job_of(one)}/transcript", json=theirs).raise_for_status()
    type_at_end(one, " and friday")
    one.keyboard.press("Control+s")
    expect(one.get_by_role("alert")).to_contain_text("Someone else has changed this transcript")
    one.keyboard.type(" at noon")
    shows(other, f"{SAID} and friday at noon")
    other.keyboard.press("Control+s")
    expect(other.get_by_role("alert")).to_contain_text("Someone else has changed this transcript")
    other.reload()  # the draft has no leave either
    expect(other.locator(".segment p")).to_have_text(f"{SAID} and friday at noon")
    edit(other)
    other.keyboard.press("Control+s")
    expect(other.get_by_role("alert")).to_contain_text("Someone else has changed this transcript")
    assert result(site, one, response_format="text").text.strip() == "theirs"
    one.get_by_role("button", name="Save", exact=True).click()
    for page in (one, other):
        saved(page, 2)
