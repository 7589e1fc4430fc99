"""/ui with several recordings: files, folders, a queue, one ZIP, a history that is searched."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import httpx
from playwright.sync_api import Page, Route, expect

from tests.support.browser import PATIENCE_MS, SHORT, OpenPage
from tests.support.service import LocalService

SAMPLES = sorted(path for path in SHORT.parent.iterdir() if path.suffix != ".tsv")
BUSY = {"error": "service_unavailable", "message": "The service is busy.", "detail": "", "request_id": "r-1"}
# As localStorage has it: many recordings that have expired.
END = {"status": "completed", "expires": "2020-01-01T00:00:00Z"}
HISTORY = [{"id": f"old-{number}", "name": f"talk {number}.mp3", "at": 1, "end": END} for number in range(500)]


def states(page: Page, state: str, count: int) -> None:
    expect(page.locator("#jobs .state", has_text=state)).to_have_count(count, timeout=PATIENCE_MS)


def test_all_recordings_of_a_folder_are_transcribed_and_downloaded_together(
    visit: OpenPage, site: LocalService
) -> None:
    page = visit().page
    page.set_input_files("#folder", SHORT.parent)
    expect(page.locator("#chosen")).to_contain_text(f"{len(SAMPLES)} recordings")  # the table in it is none
    page.get_by_role("button", name="Transcribe").click()
    states(page, "completed", len(SAMPLES))
    page.get_by_label("All of them as").select_option("text")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download ZIP").click()
    expect(page.locator("#all-note")).to_have_text(f"{len(SAMPLES)} of {len(SAMPLES)}")
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert sorted(archive.namelist()) == sorted(f"{path.stem}.txt" for path in SAMPLES)
        assert archive.read("en-meeting.txt").decode() == "the meeting starts at ten on monday\n"
    page.get_by_label("Search").fill("REUNION")
    expect(page.locator("#jobs .name")).to_have_count(2)
    gone = next(job["id"] for job in page.evaluate("JSON.parse(localStorage.jobs)") if "reunion" in job["name"])
    httpx.delete(f"{site.url}/jobs/{gone}").raise_for_status()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download ZIP").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert len(archive.namelist()) == 1
    expect(page.locator("#all-note")).to_have_text("1 of 2")
    states(page, "expired", 1)


def test_no_two_transcripts_in_a_zip_have_the_same_name(visit: OpenPage) -> None:
    names = visit().page.evaluate(
        """async (recordings) => {
            const { nameBeside } = await import("/ui/downloads.js");
            const taken = new Set();
            return recordings.map((recording) => nameBeside(taken, recording, ".srt"));
        }""",
        ["talk.mp3", "talk.wav", "Talk.WAV", "talk.mp3", "talk", "v1.2.mp3"],
    )
    assert names == ["talk.srt", "talk.wav.srt", "Talk (2).srt", "talk.mp3.srt", "talk (3).srt", "v1.2.srt"]


def test_the_browser_asks_before_recordings_that_wait_are_lost(visit: OpenPage) -> None:
    page = visit().page
    page.route("**/transcribe", lambda route: None)
    page.set_input_files("#file", SAMPLES[:3])
    page.get_by_role("button", name="Transcribe").click()
    states(page, "waiting", 1)
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"]


def test_a_folder_and_a_file_may_be_dropped_together(visit: OpenPage, tmp_path: Path) -> None:
    page = visit().page
    inner = tmp_path / "talks" / "monday"
    inner.mkdir(parents=True)
    for path in (inner / "first.mp3", inner.parent / "second.mp3", tmp_path / "third.mp3"):
        path.write_bytes(SHORT.read_bytes())
    (inner / "notes.txt").write_text("no recording")
    box = page.locator("#drop").bounding_box()
    assert box
    data = {"items": [], "files": [str(inner.parent), str(tmp_path / "third.mp3")], "dragOperationsMask": 1}
    mouse = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 9, "y": box["y"] + 9, "data": data})
    expect(page.locator("#chosen")).to_contain_text("3 recordings")


def test_each_of_several_recordings_can_be_cancelled_and_tried_again(visit: OpenPage) -> None:
    page = visit().page
    held: list[Route] = []
    page.route("**/transcribe", lambda route: held.append(route) if len(held) < 2 else route.continue_())
    page.set_input_files("#file", SAMPLES[:4])
    page.get_by_role("button", name="Transcribe").click()
    states(page, "waiting", 2)  # two are sent at a time, and those come first
    names = page.locator("#jobs bdi")
    expect(names).to_have_text([path.name for path in SAMPLES[:4]])
    page.get_by_role("button", name=f"Cancel {SAMPLES[3].name}").click()
    states(page, "waiting", 1)
    first, second = held
    busy = json.dumps(BUSY)
    first.fulfill(status=503, headers={"Retry-After": "1"}, content_type="application/json", body=busy)
    expect(page.locator("#jobs .why")).to_have_text("The service is busy. Sent again in 1 s.")
    second.abort()
    states(page, "not sent", 1)
    page.get_by_role("button", name=f"Retry {SAMPLES[1].name}").click()
    states(page, "completed", 3)


def test_a_long_history_is_in_pages_and_searched(visit: OpenPage) -> None:
    page = visit().page
    page.evaluate("jobs => localStorage.setItem('jobs', JSON.stringify(jobs))", HISTORY)
    page.reload()
    expect(page.locator("#jobs li")).to_have_count(20)
    page.get_by_role("button", name="Older", exact=True).click()
    expect(page.locator("#place")).to_have_text("21 to 40 of 500")
    expect(page.locator("#jobs .name").first).to_contain_text("talk 20.mp3")
    page.get_by_label("Search").fill("talk 49")
    expect(page.locator("#jobs li")).to_have_count(15)
    expect(page.locator("#pager")).to_be_hidden()
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No recording has this name.")).to_be_visible()


def test_what_was_transcribed_before_a_cancellation_can_be_copied_and_downloaded(visit: OpenPage, long: Path) -> None:
    visited = visit(permissions=["clipboard-read", "clipboard-write"])
    page = visited.page
    visited.transcribe(long)
    expect(page.locator("#step")).to_contain_text("left", timeout=PATIENCE_MS)  # the time, beside the percentage
    page.wait_for_selector(".word", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Cancel", exact=True).click()
    states(page, "cancelled", 1)
    said = page.locator(".word").first.inner_text()
    copied, downloaded = visited.take_text()
    assert copied.startswith(said)
    assert said in downloaded
    page.reload()
    expect(page.locator(".word").first).to_have_text(said)


def test_the_open_recording_is_open_after_a_reload_and_its_sound_too(visit: OpenPage) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    link = page.url
    assert "#job=" in link
    page.reload()
    visited.wait_until_done()
    expect(page.locator("#work-title")).to_have_text(SHORT.name)
    page.get_by_role("button", name="monday").click()
    expect(page.locator(".word[aria-current]")).to_have_text("monday")
    elsewhere = visit(path=link[link.index("/ui") :])  # another browser, which has no sound
    elsewhere.wait_until_done()
    expect(elsewhere.page.get_by_label("Choose the recording again to listen")).to_be_visible()
