"""/ui when things do not go as planned: answers that fail, several recordings at once, files that cannot be played."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.support.browser import PATIENCE_MS, SHORT, OpenPage, Visit
from tests.support.jobs import newest
from tests.support.leftovers import decoders
from tests.support.media_files import convert
from tests.support.service import LocalService

BUSY = {"error": "service_unavailable", "message": "The service is busy.", "detail": "", "request_id": "r-1"}
# Wrapped before the page's own scripts run.
COUNT_FRAMES = """
    window.frames_asked = 0;
    const ask = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (act) => { window.frames_asked += 1; return ask(act); };
"""
SEGMENTS_THAT_OVERLAP = """async () => {
    const { render } = await import("/ui/formats.js");
    return render([{ start: 0, end: 2, text: "one" }, { start: 1.5, end: 1.5, text: "two" }], "srt");
}"""


def answer_busy(route: Route) -> None:
    route.fulfill(status=503, headers={"Retry-After": "7"}, content_type="application/json", body=json.dumps(BUSY))


def uploads(visited: Visit) -> int:
    return sum(url.endswith("/transcribe") for url in visited.asked)


def cancel_all(site: LocalService) -> None:
    """Give the cores back to the next test."""
    unfinished = httpx.get(f"{site.url}/jobs", params={"status": "queued,processing"}).json()["jobs"]
    for job in unfinished:
        httpx.delete(f"{site.url}/jobs/{job['job_id']}")


# Answers that fail


def test_a_busy_service_says_when_to_try_again_and_the_recording_is_sent_again(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    page.route("**/transcribe", answer_busy)
    visited.transcribe(SHORT)
    expect(page.get_by_role("alert")).to_have_text("The service is busy. Try again in 7 s. (request r-1)")
    page.unroute("**/transcribe")
    page.get_by_role("button", name="Try again").click()
    visited.wait_until_done()


def test_a_service_that_does_not_answer_is_called_unreachable(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    page.route("**/result?*", lambda route: route.abort())
    visited.transcribe(SHORT)
    expect(page.get_by_role("alert")).to_have_text("The service cannot be reached. Is it running?")
    page.unroute("**/result?*")
    page.get_by_role("button", name="Try again").click()
    visited.wait_until_done()


def test_an_error_of_the_page_is_not_called_one_of_the_service(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    page.route("**/result?*", lambda route: route.fulfill(content_type="application/json", body="{}"))
    visited.transcribe(SHORT)
    expect(page.get_by_role("alert")).to_contain_text("This page has failed: ")


def test_a_recording_that_arrived_is_not_sent_again(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    page.route("**/result?*", answer_busy)
    visited.transcribe(SHORT)
    page.get_by_role("button", name="Try again").click(timeout=PATIENCE_MS)
    expect(page.get_by_role("alert")).to_contain_text("busy")
    page.unroute("**/result?*")
    page.get_by_role("button", name="Try again").click()
    visited.wait_until_done()
    assert uploads(visited) == 1
    expect(page.locator("#player")).to_be_visible()  # and the sound is still there


def test_events_that_break_off_are_taken_up_where_they_broke_off(
    visit: OpenPage, site: LocalService, long: Path
) -> None:
    visited = visit()
    page = visited.page
    asked_after: list[str | None] = []

    def break_off_once(route: Route) -> None:
        asked_after.append(route.request.headers.get("last-event-id"))
        if len(asked_after) == 1:
            event = 'event: segment\nid: 0.1\ndata: {"start": 0, "end": 2, "text": "before the break"}\n\n'
            route.fulfill(content_type="text/event-stream", body=event)
        else:
            route.continue_()

    page.route("**/events", break_off_once)
    visited.transcribe(long)
    expect(page.locator(".segment").nth(1)).to_be_visible(timeout=PATIENCE_MS)
    assert asked_after == [None, "0.1"]
    assert "before the break" in page.locator(".segment").first.inner_text()
    cancel_all(site)


def test_a_recording_that_the_service_forgot_is_expired(visit: OpenPage, site: LocalService) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    job = newest(site.url)["job_id"]
    httpx.delete(f"{site.url}/jobs/{job}")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The service no longer has this recording")
    expect(page.locator("#jobs .state")).to_have_text("expired")


def test_a_link_to_a_job_that_is_gone_leaves_nothing_in_the_list(visit: OpenPage) -> None:
    page = visit(path="/ui#job=00000000-0000-4000-8000-000000000000").page
    expect(page.get_by_role("alert")).to_contain_text("The service no longer has this recording")
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#recent")).to_be_hidden()


def test_what_was_transcribed_before_a_failure_can_be_read_copied_and_downloaded(
    visit: OpenPage, site: LocalService, long: Path
) -> None:
    visited = visit(permissions=["clipboard-read", "clipboard-write"])
    page = visited.page
    visited.transcribe(long)
    page.wait_for_selector(".word", timeout=PATIENCE_MS)
    for decoder in decoders(site):
        decoder.kill()
    expect(page.locator("#incomplete")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#jobs .state")).to_have_text("failed")
    expect(page.get_by_role("alert")).to_contain_text("decoder")
    said = page.locator(".segment p").first.inner_text()
    copied, downloaded = visited.take_text()
    assert copied.startswith(said)
    assert said in downloaded


def test_a_failed_recording_says_why_in_the_list(visit: OpenPage, tmp_path: Path) -> None:
    posing = tmp_path / "posing.mp3"
    posing.write_text("no recording")
    visited = visit()
    visited.transcribe(posing)
    expect(visited.page.locator("#jobs .why")).to_contain_text("not a supported", timeout=PATIENCE_MS)


# Several recordings


def test_another_recording_does_not_hide_the_progress_of_the_new_one(
    visit: OpenPage, site: LocalService, long: Path
) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(long)
    page.wait_for_selector(".word", timeout=PATIENCE_MS)
    page.reload()
    page.get_by_role("button", name="Open long.mp3").click()
    page.wait_for_selector(".word", timeout=PATIENCE_MS)
    visited.transcribe(long)
    expect(page.locator("#jobs li")).to_have_count(2)
    page.wait_for_timeout(500)  # long enough for the old one to be given up
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    cancel_all(site)


def test_an_upload_goes_on_when_another_recording_is_opened(visit: OpenPage, site: LocalService, long: Path) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    held: list[Route] = []
    page.route("**/transcribe", lambda route: held.append(route))
    visited.transcribe(long)
    expect(page.locator("#work-title")).to_have_text("long.mp3")
    page.get_by_role("button", name="Open en-meeting.mp3").click()
    visited.wait_until_done()
    [upload] = held
    upload.continue_()
    expect(page.locator("#jobs li")).to_have_count(2, timeout=PATIENCE_MS)
    expect(page.locator("#work-title")).to_have_text("en-meeting.mp3")
    cancel_all(site)


def test_what_is_deleted_is_not_shown_any_more_and_the_focus_has_a_place(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    for _ in range(2):
        visited.transcribe(SHORT)
        expect(page.locator("#running")).to_be_visible()
        visited.wait_until_done()
    page.locator('[data-action^="Delete-"]').first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#jobs li")).to_have_count(1)
    expect(page.locator("#work")).to_be_hidden()
    expect(page.get_by_role("button", name="Open en-meeting.mp3")).to_be_focused()


def test_results_of_recent_recordings_are_not_fetched_to_list_them(visit: OpenPage) -> None:
    visited = visit()
    visited.transcribe(SHORT)
    visited.wait_until_done()
    expect(visited.page.locator("#jobs .state")).to_have_text("completed")
    visited.asked.clear()
    visited.page.reload()
    expect(visited.page.locator("#jobs .state")).to_have_text("completed")
    assert not any("/status/" in url for url in visited.asked)


# Listening


def test_seeking_often_asks_for_no_more_frames(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    page.add_init_script(COUNT_FRAMES)
    page.reload()
    visited.transcribe(SHORT.with_name("en-day.m4a"))
    visited.wait_until_done()
    for _ in range(5):
        page.locator(".word").first.click()
        page.wait_for_timeout(100)
    before = page.evaluate("window.frames_asked")
    page.wait_for_timeout(500)
    assert 0 < page.evaluate("window.frames_asked") - before < 100  # 30 at 60 a second, and 30 of the waveform


def test_a_recording_that_the_browser_cannot_play_is_transcribed_all_the_same(visit: OpenPage, tmp_path: Path) -> None:
    visited = visit()
    visited.transcribe(convert(SHORT, tmp_path / "talk.wma"))
    visited.wait_until_done()
    expect(visited.page.get_by_text("This browser cannot play this recording")).to_be_visible()
    expect(visited.page.locator("#player")).to_be_hidden()


# Downloads of text without a result


def test_subtitles_of_a_part_never_overlap(visit: OpenPage) -> None:
    assert visit().page.evaluate(SEGMENTS_THAT_OVERLAP) == (
        "1\n00:00:00,000 --> 00:00:02,000\none\n\n2\n00:00:02,000 --> 00:00:02,001\ntwo\n"
    )


@pytest.mark.parametrize("target", ["header", "#recent"])
def test_a_file_dropped_beside_the_frame_does_not_replace_the_page(visit: OpenPage, target: str) -> None:
    visit().page.wait_for_function(  # on a busy machine the page's module begins after its load event
        """(target) => {
            const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() });
            return !document.querySelector(target).dispatchEvent(drop);
        }""",
        arg=target,
    )
