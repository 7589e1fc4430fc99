"""/ui as people use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PATIENCE_MS, SHORT, OpenPage, Visit, start, violations
from tests.support.jobs import newest
from tests.support.media_files import run_ffmpeg
from tests.support.reverse_proxy import reverse_proxy
from tests.support.service import LocalService

SAID = "the meeting starts at ten on monday"
KEY = "k" * 43
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def done(visit: OpenPage) -> Visit:
    """A short recording, transcribed."""
    visited = visit()
    visited.transcribe(SHORT)
    visited.wait_until_done()
    return visited


def words(page: Page) -> str:
    return " ".join(page.locator(".word").all_inner_texts())


def downloaded(page: Page) -> tuple[str, str]:
    """Name and content of what the button gives."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download", exact=True).click()
    download = waiting.value
    return download.suggested_filename, Path(download.path()).read_text(encoding="utf-8")


def choose_format(page: Page, name: str) -> None:
    page.get_by_label("Format").select_option(name)


def recent(page: Page, state: str) -> None:
    expect(page.locator("#jobs .state").first).to_have_text(state, timeout=PATIENCE_MS)


# A recording


def test_a_recording_becomes_text(done: Visit) -> None:
    assert words(done.page) == SAID
    recent(done.page, "completed")


def test_the_page_works_under_the_path_prefix_of_a_proxy(visit: OpenPage, site: LocalService) -> None:
    with reverse_proxy(site.url, "/speech") as url:
        visited = visit(path="/speech/ui", service=replace(site, url=url))
        visited.transcribe(SHORT)
        visited.wait_until_done()
        assert words(visited.page) == SAID
        recent(visited.page, "completed")
        visited.page.get_by_role("button", name="Delete").click()
        expect(visited.page.locator("#recent")).to_be_hidden(timeout=PATIENCE_MS)
    assert visited.complaints == []


def test_a_file_may_be_dropped(visit: OpenPage) -> None:
    page = visit().page
    content = list(SHORT.read_bytes())
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.mp3"));
            return transfer;
        }""",
        content,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#chosen")).to_contain_text("dropped.mp3")
    page.get_by_role("button", name="Transcribe").click()
    page.wait_for_selector("#done", state="visible", timeout=PATIENCE_MS)
    assert words(page) == SAID


def test_the_progress_of_the_upload_is_seen(visit: OpenPage, long: Path) -> None:
    visited = visit()
    slow = visited.page.context.new_cdp_session(visited.page)
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", conditions)
    visited.transcribe(long)
    expect(visited.page.locator("#step")).to_have_text(re.compile(r"Uploading: [1-9]\d? %"))
    visited.page.get_by_role("button", name="Cancel", exact=True).click()
    expect(visited.page.locator("#work")).to_be_hidden()


def test_text_and_progress_are_seen_before_a_long_recording_is_done(
    visit: OpenPage, long: Path, tmp_path: Path
) -> None:
    minutes = tmp_path / "minutes.mp3"
    run_ffmpeg("-i", str(long), "-t", "200", "-c", "copy", str(minutes))
    visited = visit()
    visited.transcribe(minutes)
    visited.page.wait_for_selector(".word", timeout=PATIENCE_MS)
    assert not visited.page.locator("#done").is_visible()
    assert re.search(r"Transcribing: \d+ %", visited.page.inner_text("#step"))
    assert "Transcribing" in visited.page.inner_text("#live")
    visited.wait_until_done()


def test_an_error_says_what_is_wrong(visit: OpenPage, tmp_path: Path) -> None:
    posing = tmp_path / "posing.mp3"
    posing.write_text("no recording")
    visited = visit()
    visited.transcribe(posing)
    alert = visited.page.get_by_role("alert")
    expect(alert).to_contain_text("not a supported audio or video file", timeout=PATIENCE_MS)
    recent(visited.page, "failed")
    visited.page.get_by_role("button", name="Retry posing.mp3").click()
    expect(alert).to_contain_text("not a supported audio or video file", timeout=PATIENCE_MS)


def test_a_long_recording_can_be_cancelled(visit: OpenPage, long: Path, site: LocalService) -> None:
    visited = visit()
    visited.transcribe(long)
    visited.page.wait_for_selector(".word", timeout=PATIENCE_MS)
    visited.page.get_by_role("button", name="Cancel", exact=True).click()
    recent(visited.page, "cancelled")
    assert newest(site.url)["status"] == "cancelled"


def test_a_recording_without_speech_completes_with_an_empty_transcript(visit: OpenPage, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "3", str(silence))
    visited = visit()
    visited.transcribe(silence)
    visited.wait_until_done()
    expect(visited.page.locator("#live")).to_have_text("Done. This recording contains no speech.")


# Listening


def test_the_word_that_is_said_is_lit_and_a_click_on_a_word_goes_there(done: Visit) -> None:
    page = done.page
    page.get_by_role("button", name="monday").click()
    expect(page.locator(".word[aria-current]")).to_have_text("monday")
    assert page.evaluate("document.getElementById('player').currentTime") > 1.5
    page.get_by_role("button", name="meeting", exact=True).click()
    expect(page.locator(".word[aria-current]")).not_to_have_text("monday")


# Downloading


def test_the_layout_is_that_of_the_service(done: Visit, site: LocalService) -> None:
    page = done.page
    page.get_by_text("Subtitle layout").click()
    page.get_by_label("Characters per line").fill("20")
    page.get_by_label("Count cues above").fill("5")
    choose_format(page, "vtt")
    name, content = downloaded(page)
    assert name == "en-meeting.vtt"
    expect(page.locator("#note")).to_contain_text("fast to read")
    job = newest(site.url)["job_id"]
    query = {"response_format": "vtt", "max_line_width": "20", "max_chars_per_second": "5"}
    assert content == httpx.get(f"{site.url}/jobs/{job}/result", params=query).text


def test_every_format_can_be_downloaded(done: Visit) -> None:
    formats = ["srt", "vtt", "text", "json", "verbose_json", "tsv", "lrc"]
    contents = {}
    for name in formats:
        choose_format(done.page, name)
        contents[name] = downloaded(done.page)[1]
    assert [name for name in formats if SAID in contents[name]] == formats


# Coming back


def test_recent_recordings_are_there_after_a_reload_and_can_be_heard_and_deleted(done: Visit) -> None:
    page = done.page
    page.reload()
    recent(page, "completed")
    page.get_by_role("button", name="Open en-meeting.mp3").click()
    page.wait_for_selector("#done", state="visible")
    assert words(page) == SAID
    expect(page.locator("#player")).to_be_visible()
    page.get_by_role("button", name="Delete en-meeting.mp3").click()
    expect(page.locator("#recent")).to_be_hidden()


# Keys


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    yield from start(tmp_path_factory.mktemp("guarded"), ENABLE_API_KEY="true", API_KEY=KEY)


def test_a_key_is_asked_for_and_kept_until_the_tab_is_closed(visit: OpenPage, guarded: LocalService) -> None:
    visited = visit(guarded)
    page = visited.page
    expect(page.get_by_role("alert")).to_contain_text("An API key is required")
    field = page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    field.fill("wrong")
    field.press("Tab")
    expect(page.get_by_role("alert")).to_contain_text("is invalid")
    field.fill(KEY)
    field.press("Tab")
    expect(page.get_by_label("Language").locator("option")).to_have_count(103)
    visited.transcribe(SHORT)
    visited.wait_until_done()
    assert words(page) == SAID
    languages = page.get_by_label("Language").locator("option").all_inner_texts()
    assert languages[1:] == sorted(languages[1:])  # after "Detect"
    assert KEY in page.evaluate("JSON.stringify(sessionStorage)")
    assert KEY not in page.evaluate("JSON.stringify(localStorage)")
    assert not any(KEY in url for url in visited.asked)


# Accessibility and privacy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_before_while_and_after(visit: OpenPage, long: Path, scheme: str) -> None:
    visited = visit(color_scheme=scheme)
    found = [violations(visited.page)]
    visited.transcribe(long)
    visited.page.wait_for_selector(".word", timeout=PATIENCE_MS)
    found.append(violations(visited.page))
    visited.page.get_by_role("button", name="Cancel", exact=True).click()
    visited.transcribe(SHORT)
    visited.wait_until_done()
    for details in visited.page.locator("summary").all():
        details.click()
    found.append(violations(visited.page))
    visited.page.get_by_role("button", name="Correct the text").click()
    found.append(violations(visited.page))
    assert found == [[]] * 4


def test_at_the_width_of_a_phone_nothing_is_cut_off(visit: OpenPage) -> None:
    visited = visit(viewport=PHONE)
    visited.transcribe(SHORT)
    visited.wait_until_done()
    for details in visited.page.locator("summary").all():
        details.click()
    assert visited.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_no_other_host_is_asked_and_the_policy_is_kept(done: Visit, site: LocalService) -> None:
    downloaded(done.page)
    done.page.get_by_role("button", name="monday").click()
    assert done.hosts == {site.url.removeprefix("http://")}
    assert done.complaints == []


def test_the_policy_forbids_scripts_in_the_page(visit: OpenPage) -> None:
    visited = visit()
    visited.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.run = true";
            document.body.append(script);
        }"""
    )
    assert visited.page.evaluate("window.run") is None
    assert any("Content Security Policy" in complaint for complaint in visited.complaints)


def test_swagger_ui_works_under_its_policy_without_another_host(visit: OpenPage, site: LocalService) -> None:
    visited = visit(path="/docs")
    expect(visited.page.get_by_text("/transcribe", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    assert visited.reached == {site.url.removeprefix("http://")}
    assert visited.complaints == []


def test_bentomls_page_shows_the_native_api(visit: OpenPage, site: LocalService) -> None:
    visited = visit(path="/bentoml")
    expect(visited.page.get_by_text("/api/transcribe", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    # It would load a tracker from elsewhere; the policy keeps it out.
    assert visited.reached == {site.url.removeprefix("http://")}
