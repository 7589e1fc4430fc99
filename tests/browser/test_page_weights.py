"""/ui with a model that hears what people say: the text is theirs, from the first words to the download."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Launch
from tests.browser.test_page_editing import CONVERSATION, edit, result, saved, until
from tests.support.browser import OpenPage
from tests.support.media_files import film
from tests.support.service import LocalService
from tests.support.speech import SIGNS, SIGNS_TEXT
from tests.support.weights import service_with

pytestmark = pytest.mark.weights

# A busy browser loses some of the sound of its pretended microphone, and the model a word with it.
MOST_WORDS = (
    f"text => {SIGNS_TEXT.split()}.filter(word => text.includes(word)).length >= {len(SIGNS_TEXT.split()) // 2}"
)
CUES = "[...(document.getElementById('player').textTracks[0]?.cues ?? [])].map(cue => cue.text).join(' ')"


@pytest.fixture(scope="module")
def browser(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Into whose microphone a person speaks."""
    with launch(SIGNS, tmp_path_factory.mktemp("microphone")) as started:
        yield started


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with service_with(tmp_path_factory.mktemp("released"), "base") as running:
        yield running


def test_a_film_is_read_searched_corrected_and_downloaded(
    visit: OpenPage, released: LocalService, tmp_path: Path
) -> None:
    visited = visit(released, permissions=["clipboard-read", "clipboard-write"])
    page = visited.page
    visited.transcribe(film(tmp_path / "film.webm", SIGNS, 8))
    visited.wait_until_done()
    assert visited.take_text()[0].split() == SIGNS_TEXT.split()
    until(page, f"{CUES}.replace(/\\n/g, ' ') === {SIGNS_TEXT!r}")
    edit(page)
    page.get_by_role("textbox", name="Find").fill("guides")
    page.get_by_label("Replace with").fill("hosts")
    page.get_by_role("button", name="Replace all").click()
    page.keyboard.press("Control+s")
    saved(page, 1)
    corrected = SIGNS_TEXT.replace("guides", "hosts")
    until(page, f"{CUES}.replace(/\\n/g, ' ') === {corrected!r}")
    copied, downloaded = visited.take_text()
    assert copied.split() == corrected.split()
    assert corrected in " ".join(downloaded.split())
    assert visited.complaints == []


def test_a_conversation_is_read_by_the_names_of_its_speakers(visit: OpenPage, released: LocalService) -> None:
    visited = visit(released)
    page = visited.page
    page.locator("#speakers").select_option("voices")
    visited.transcribe(CONVERSATION)
    visited.wait_until_done()
    expect(page.locator("#people li")).to_have_count(2)
    page.get_by_label("Name of SPEAKER_01").fill("Ben")
    page.keyboard.press("Enter")
    expect(page.locator(".segment", has_text="clouds of").locator(".speaker")).to_have_text("Ben")
    expect(page.locator(".segment.speaker-1", has_text=re.compile("mountain ?side"))).to_have_count(1)
    expect(page.locator(".segment.speaker-0", has_text="easier than defeat")).to_have_count(1)
    assert re.search(r"Ben: .*mountain ?side", result(released, page, response_format="text").text)


def test_what_is_spoken_into_the_microphone_is_read_at_once_and_afterwards(
    visit: OpenPage, released: LocalService
) -> None:
    visited = visit(released, permissions=["microphone"])
    page = visited.page
    page.get_by_role("button", name="Speak").click()
    until(page, f"({MOST_WORDS})(document.getElementById('spoken').textContent)")
    page.get_by_role("button", name="Stop").click()
    visited.wait_until_done()
    until(page, f"({MOST_WORDS})(document.getElementById('transcript').textContent)")
    assert visited.complaints == []
