"""/ui as an editor: corrections, speakers, scripts, video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import SHORT, OpenPage, Visit, violations
from tests.support.media_files import film
from tests.support.service import LocalService
from tests.support.waiting import wait_until

CONVERSATION = Path(__file__).parents[1] / "data" / "diarization" / "two-speakers.ogg"
SAID = "the meeting starts at ten on monday"
PHONE = {"width": 360, "height": 740}
ARABIC, HEBREW = "مرحبا بكم في الاجتماع", "ברוכים הבאים לפגישה"
THAI, CHINESE = ("สวัสดี", "ครับ"), ("欢迎", "参加")  # without spaces between words
GERMAN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


@pytest.fixture
def editing(visit: OpenPage) -> Visit:
    """A short recording, transcribed, with "Correct the text" pressed."""
    visited = visit()
    visited.transcribe(SHORT)
    visited.wait_until_done()
    edit(visited.page)
    return visited


def edit(page: Page) -> None:
    page.get_by_role("button", name="Correct the text").click()


def job_of(page: Page) -> str:
    return page.url.rpartition("#job=")[2]


def result(site: LocalService, page: Page, **query: str) -> httpx.Response:
    return httpx.get(f"{site.url}/jobs/{job_of(page)}/result", params=query)


def words(answer: httpx.Response) -> dict[str, tuple[float, float]]:
    """Start and end of each word, seconds."""
    return {each["word"]: (each["start"], each["end"]) for each in answer.json()["words"]}


def caret(page: Page) -> tuple[str, int]:
    """The text before the caret, and how many segments there are."""
    before = page.evaluate("document.activeElement.value.slice(0, document.activeElement.selectionStart)")
    return before, page.locator(".segment").count()


def until(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression is true. Playwright's own wait needs eval, which the policy forbids."""
    assert wait_until(lambda: page.evaluate(expression)), expression


def saved(page: Page, version: int) -> None:
    expect(page.locator("#saved")).to_contain_text(f"version {version}")


def test_text_is_corrected_where_it_is_clicked_and_saved_with_the_times_of_other_words(
    editing: Visit, site: LocalService
) -> None:
    page = editing.page
    before = words(result(site, page, response_format="json"))
    page.locator(".word", has_text="starts").click(position={"x": 1, "y": 8})
    assert caret(page) == ("the meeting ", 1)
    page.keyboard.type("really ")
    page.keyboard.press("Enter")
    assert caret(page) == ("", 2)
    page.keyboard.press("Backspace")
    assert caret(page) == ("the meeting really ", 1)
    page.keyboard.press("Control+s")
    saved(page, 1)
    after = words(result(site, page, response_format="json"))
    assert {word: after[word] for word in before} == before
    assert before["meeting"][1] <= after["really"][0] <= after["really"][1] <= before["starts"][0]
    assert "the meeting really starts" in result(site, page, response_format="srt", max_line_width="80").text


def test_changes_are_undone_and_kept_in_the_browser_until_they_are_saved(editing: Visit, site: LocalService) -> None:
    page = editing.page
    page.locator(".word", has_text="monday").click()
    page.keyboard.press("End")
    page.keyboard.type(" and friday")
    page.keyboard.press("Control+z")
    assert caret(page) == (SAID, 1)
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#saved")).to_contain_text("Not saved yet")
    page.reload()  # at once
    editing.wait_until_done()
    expect(page.locator(".segment p")).to_have_text(f"{SAID} and friday")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download", exact=True).click()  # saves first
    assert f"{SAID} and friday" in Path(waiting.value.path()).read_text(encoding="utf-8")
    saved(page, 1)
    edit(page)
    page.get_by_role("button", name="Back to the original").click()
    expect(page.locator(".segment p")).to_have_text(SAID)
    edit(page)  # leaving the editor saves
    saved(page, 2)
    assert SAID in result(site, page, response_format="text").text


def test_somebody_elses_corrections_are_not_overwritten_unasked(editing: Visit, site: LocalService) -> None:
    page = editing.page
    page.locator(".word").first.click()
    page.keyboard.type("ours ")
    theirs = {"segments": [{"start": 0.5, "end": 2, "text": "theirs"}]}
    httpx.put(f"{site.url}/jobs/{job_of(page)}/transcript", json=theirs).raise_for_status()
    page.reload()
    editing.wait_until_done()
    edit(page)
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("Someone else has changed this transcript")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".segment")).to_contain_text("theirs")
    page.get_by_role("button", name="Redo").click()
    assert result(site, page, response_format="text").text.strip() == "theirs"
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page, 2)


def test_find_and_replace_goes_through_the_transcript(editing: Visit) -> None:
    page = editing.page
    page.get_by_label("Find", exact=True).fill("ON")
    expect(page.locator("#found")).to_have_text("1 of 2")
    assert page.evaluate("[...CSS.highlights.get('found')].map(String)") == ["on", "on"]
    page.get_by_label("Replace with").fill("in")
    page.get_by_role("button", name="Replace all").click()
    expect(page.locator(".segment p")).to_have_text("the meeting starts at ten in minday")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".segment p")).to_have_text(SAID)
    # What is put in has the text itself, which is not replaced again, and signs that mean something in patterns.
    page.get_by_label("Find", exact=True).fill("on")
    page.get_by_label("Replace with").fill("on $& (on)")
    for expected in ("on $& (on) monday", "on $& (on) mon $& (on)day"):
        page.get_by_role("button", name="Replace", exact=True).click()
        expect(page.locator(".segment p")).to_have_text(f"the meeting starts at ten {expected}")
    page.get_by_label("Find", exact=True).fill("(on)")
    expect(page.locator("#found")).to_have_text("1 of 2")


def test_enter_never_takes_text_away(editing: Visit) -> None:
    page = editing.page
    page.locator(".word", has_text="starts").click(position={"x": 1, "y": 8})
    page.keyboard.press("Shift+End")
    page.keyboard.press("Enter")  # the rest would be a segment without text
    assert caret(page) == ("the meeting ", 1)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_a_browser_without_room_for_corrections_asks_before_they_are_lost(editing: Visit) -> None:
    page = editing.page
    page.evaluate("() => { IDBObjectStore.prototype.put = () => { throw new Error('full'); }; }")
    page.locator(".word").first.click()
    page.keyboard.type("really ")
    expect(page.locator("#saved")).to_have_text("Not saved yet, and this browser has no room to keep it.")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"]


def test_what_could_not_be_kept_is_safe_once_it_is_saved(editing: Visit) -> None:
    page = editing.page
    page.evaluate("""() => {
        const put = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = () => { IDBObjectStore.prototype.put = put; throw new Error("full"); };
    }""")
    page.locator(".word").first.click()
    page.keyboard.type("really ")
    expect(page.locator("#saved")).to_have_text("Not saved yet, and this browser has no room to keep it.")
    # From now on nothing else finds out that there is room.
    page.evaluate("() => { window.setTimeout = () => 0; }")
    page.keyboard.press("Control+s")
    saved(page, 1)
    page.keyboard.type("very ")
    expect(page.locator("#saved")).to_have_text("Not saved yet; kept in this browser.")


def test_keys_play_while_typing_and_uncertain_words_are_marked_on_demand(editing: Visit) -> None:
    page = editing.page
    page.locator(".word").first.click()
    page.keyboard.press("Alt+Period")
    page.keyboard.press("Alt+k")
    until(page, "!document.getElementById('player').paused")
    assert page.evaluate("document.getElementById('player').playbackRate") == 1.25
    page.keyboard.press("Alt+k")
    page.keyboard.press("Alt+l")
    until(page, "document.getElementById('player').currentTime > 2.5")
    page.keyboard.press("Alt+j")
    until(page, "document.getElementById('player').currentTime === 0")
    assert caret(page)[1] == 1
    assert page.evaluate("document.activeElement.value") == SAID
    page.keyboard.press("Escape")
    expect(page.locator(".word").first).to_be_focused()
    page.keyboard.press("Enter")
    assert caret(page) == ("", 1)  # the field is open again
    page.get_by_label("Mark uncertain words").check()
    expect(page.locator("#transcript.shows-doubt")).to_be_visible()


def test_speakers_are_told_apart_named_once_filtered_and_merged(visit: OpenPage, site: LocalService) -> None:
    visited = visit()
    page = visited.page
    page.locator("#speakers").select_option("voices")
    page.get_by_label("How many speakers").fill("2")
    visited.transcribe(CONVERSATION)
    visited.wait_until_done()
    expect(page.locator("#people li")).to_have_count(2)
    colours = page.evaluate("[...document.querySelectorAll('.speaker')].map(name => getComputedStyle(name).color)")
    assert len(set(colours)) == 2
    assert page.locator("#strip span").count() == page.locator(".segment").count()
    page.get_by_label("Name of SPEAKER_00").fill("Ann")
    page.keyboard.press("Enter")
    expect(page.locator(".segment .speaker", has_text="Ann").first).to_be_visible()
    assert "Ann: " in result(site, page, response_format="srt").text
    page.get_by_role("button", name="Show only Ann").click()
    of_ann = page.locator(".segment.speaker-0").count()
    expect(page.locator(".segment:visible")).to_have_count(of_ann)
    page.locator(".word:visible").first.click()
    for _ in range(page.locator(".word:visible").count()):  # keys go over what is hidden
        page.keyboard.press("ArrowRight")
    expect(page.locator(".word:visible").last).to_be_focused()
    edit(page)
    page.locator(".word:visible").first.click()
    assert violations(page) == []
    page.get_by_label("Who speaks in this segment").select_option("SPEAKER_01")
    expect(page.locator(".segment:visible")).to_have_count(of_ann - 1)
    page.get_by_role("button", name="Undo").click()
    edit(page)
    page.get_by_label("SPEAKER_01 is the same person as").select_option("Ann")
    page.get_by_role("button", name="Make SPEAKER_01 the same person").click()
    expect(page.locator("#people li")).to_have_count(1)
    assert "SPEAKER" not in result(site, page, response_format="srt").text
    assert visited.complaints == []


def test_texts_of_all_scripts_are_laid_out_as_they_are_read(visit: OpenPage, site: LocalService) -> None:
    visited = visit(viewport=PHONE)
    page = visited.page
    visited.transcribe(SHORT)
    visited.wait_until_done()
    texts = [ARABIC, HEBREW, "".join(THAI), "".join(CHINESE), GERMAN]
    segments: list[dict[str, Any]] = [
        {"start": n / 2, "end": n / 2 + 0.4, "text": text} for n, text in enumerate(texts)
    ]
    for number, pair in ((2, THAI), (3, CHINESE)):
        segments[number]["words"] = [{"word": word, "start": number / 2, "end": number / 2 + 0.4} for word in pair]
    httpx.put(f"{site.url}/jobs/{job_of(page)}/transcript", json={"segments": segments}).raise_for_status()
    page.reload()
    visited.wait_until_done()
    expect(page.locator(".segment p")).to_have_text(texts)
    places: list[list[dict[str, Any]]] = page.evaluate(
        """[...document.querySelectorAll('.segment p')].map(text =>
            [...text.querySelectorAll('.word')].map(word => word.getBoundingClientRect().toJSON()))"""
    )
    for arabic_or_hebrew in places[:2]:
        first, second = arabic_or_hebrew[:2]
        assert first["left"] > second["left"] or first["top"] < second["top"]
    for unspaced in places[2:4]:
        first, second = unspaced[:2]
        assert abs(second["left"] - first["right"]) < 1  # nothing is between words
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert all(word["right"] <= PHONE["width"] for text in places for word in text)
    edit(page)
    page.locator(".word").first.click()
    assert page.evaluate("getComputedStyle(document.activeElement).direction") == "rtl"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".word").nth(1)).to_be_focused()


def test_a_video_is_seen_with_subtitles_in_the_chosen_layout(visit: OpenPage, tmp_path: Path) -> None:
    visited = visit()
    page = visited.page
    visited.transcribe(film(tmp_path / "film.webm", SHORT, 4))
    visited.wait_until_done()
    expect(page.locator("#player")).to_be_visible()
    page.get_by_text("Subtitle layout").click()
    page.get_by_label("Characters per line").fill("12")
    page.get_by_label("Lines per cue").fill("1")
    page.keyboard.press("Tab")
    cues = "[...(document.getElementById('player').textTracks[0]?.cues ?? [])].map(cue => cue.text)"
    until(page, f"{cues}.length > 2")
    assert all(len(cue) <= 12 for cue in page.evaluate(cues))
    assert page.evaluate("document.getElementById('player').offsetHeight") > 90
    assert visited.complaints == []


# Words one second apart, a text that replaces theirs, and then the words and when they start.
CHANGES: list[tuple[str, str, dict[str, float]]] = [
    ("we meat at ten", "we meet at ten", {"we": 0, "meet": 1, "at": 2, "ten": 3}),
    ("we meet at ten", "We meet, at ten.", {"We": 0, "meet,": 1, "at": 2, "ten.": 3}),
    ("we meet at ten", "we at ten", {"we": 0, "at": 2, "ten": 3}),
    ("we meet at ten", "do we all meet at ten", {"do": 0, "we": 0, "all": 0.8, "meet": 1, "at": 2, "ten": 3}),
    ("we me et", "we meet", {"we": 0, "meet": 1}),
    ("we meet", "", {}),
    ("我们 明天 见", "我们后天见", {"我们": 0, "后天": 1, "见": 2}),
]


def test_words_that_are_still_there_keep_their_times(visit: OpenPage) -> None:
    changes = [(spoken(before.split(), before.isascii()), text) for before, text, _ in CHANGES]
    found = visit().page.evaluate(
        """async (changes) => {
            const { withText } = await import("/ui/words.js");
            return changes.map(([segment, text]) => withText(segment, text).words);
        }""",
        changes,
    )
    assert [{word["word"]: word["start"] for word in words} for words in found] == [after for _, _, after in CHANGES]


def spoken(said: list[str], spaced: bool) -> dict[str, Any]:
    """A segment with a word each second."""
    timed = [{"word": word, "start": start, "end": start + 0.8} for start, word in enumerate(said)]
    return {"start": 0, "end": len(said), "text": (" " if spaced else "").join(said), "words": timed}
