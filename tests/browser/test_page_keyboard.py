"""/ui without a mouse: every key goes to what has the focus, which can be seen, and is never lost."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.test_page_editing import CONVERSATION, until
from tests.support.browser import SHORT, OpenPage
from tests.support.waiting import wait_until

LEAST_STOPS, MOST_STOPS = 25, 60  # of the page, with one recording
PHONE = {"width": 360, "height": 740}
FORMATS = {"srt", "vtt", "text", "json", "verbose_json", "tsv", "lrc", "rttm"}
# The name of what has the focus, and what is wrong with it.
FOCUSED = """(() => {
    const focused = document.activeElement;
    const style = getComputedStyle(focused);
    const { top, bottom, left, right, width } = focused.getBoundingClientRect();
    const isSeen = width > 0 && bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
    const hasRing = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const name = focused.getAttribute("aria-label") ?? focused.labels?.[0]?.innerText ?? focused.innerText ?? "";
    const tag = focused.tagName.toLowerCase();
    const wrong = tag === "body" ? "no focus" : !isSeen ? "out of sight" : !hasRing ? "no ring" : "";
    return { name: name.trim().split("\\n")[0], tag, id: focused.id, wrong };
})()"""


@dataclass(frozen=True, slots=True)
class Keys:
    """A user with a keyboard alone."""

    page: Page

    def focused(self) -> dict[str, str]:
        """What has the focus. It must be seen to have it."""
        found: dict[str, str] = self.page.evaluate(FOCUSED)
        assert not found["wrong"], found
        return found

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def go_to(self, name: str, key: str = "Tab") -> None:
        """Press Tab until something with this name has the focus; every stop on the way must be seen."""
        for _ in range(MOST_STOPS):
            self.press(key)
            if self.focused()["name"] == name:
                return
        raise AssertionError(f"{name} cannot be reached")

    def back_to(self, name: str) -> None:
        self.go_to(name, "Shift+Tab")

    def is_at(self, name: str) -> None:
        """Wait until something with this name has the focus."""
        until(self.page, f"({FOCUSED}).name === {name!r}")
        self.focused()


def test_everything_can_be_done_with_the_keyboard_alone(visit: OpenPage) -> None:
    visited = visit(permissions=["microphone"])
    page, keys = visited.page, Keys(visited.page)

    page.on("filechooser", lambda dialogue: dialogue.set_files(CONVERSATION))  # the system's is no part of the page

    # Settings, a file, and the transcription
    keys.go_to("Choose recordings, or drop files and folders here")

    def chosen() -> bool:
        """Playwright may not be ready yet to answer the first dialogue."""
        if CONVERSATION.name not in page.inner_text("#chosen"):
            keys.press("Enter")
        return CONVERSATION.name in page.inner_text("#chosen")

    assert wait_until(chosen)
    keys.go_to("Speakers")
    keys.type("By v")
    keys.go_to("How many speakers")
    keys.type("2")
    keys.go_to("More options")
    keys.press("Enter")
    keys.go_to("Names and words to expect")
    keys.go_to("API key")
    keys.press("Enter")
    keys.go_to("Key")
    keys.go_to("Transcribe")
    keys.press("Enter")
    visited.wait_until_done()
    keys.is_at("Transcribe")

    # Sound
    keys.go_to("Recording")
    keys.press("Alt+Period", "Alt+k")
    until(page, "!document.getElementById('player').paused")
    keys.press("Alt+k", "Alt+l")
    until(page, "document.getElementById('player').currentTime > 4")
    assert page.evaluate("document.getElementById('player').playbackRate") == 1.25

    # Speakers
    keys.go_to("Name of SPEAKER_00")
    keys.press("Control+a")
    keys.type("Ann")
    keys.press("Enter")
    keys.is_at("Name of Ann")
    keys.go_to("Show only Ann")
    keys.press("Enter", "Enter")
    keys.go_to("SPEAKER_01 is the same person as")
    keys.press("ArrowDown")
    expect(page.locator("#people li")).to_have_count(2)  # not before it is confirmed
    keys.go_to("Make SPEAKER_01 the same person")
    keys.back_to("SPEAKER_01 is the same person as")
    keys.press("ArrowUp")

    # Reading and correcting
    keys.go_to("Correct the text")
    keys.press("Enter")
    first = page.locator(".word").first.inner_text()
    keys.go_to(first)
    segments = page.locator(".segment").count()
    keys.press("ArrowRight", "Enter")
    keys.type("quite ")
    keys.press("Enter")
    expect(page.locator(".segment")).to_have_count(segments + 1)
    keys.press("Backspace")
    expect(page.locator(".segment")).to_have_count(segments)
    expect(page.locator(".segment textarea")).to_be_focused()
    keys.press("Control+z", "Control+z", "Control+z")
    expect(page.locator(".segment").first).not_to_contain_text("quite")
    keys.press("Control+y")
    keys.go_to("Who speaks in this segment")
    keys.type("SPEAKER_01")
    keys.is_at("Who speaks in this segment")
    keys.back_to(page.locator(".segment textarea").get_attribute("aria-label") or "")
    keys.press("Escape")
    keys.is_at(first)

    # Finding and replacing: the keys stay at the button
    keys.press("Enter", "Control+h")
    keys.is_at("Find")
    keys.type("e")
    found = int(page.locator("#found").inner_text().split()[-1])
    keys.go_to("Replace with")
    keys.type("E")
    keys.go_to("Replace")
    keys.press("Enter", "Enter")
    keys.is_at("Replace")
    expect(page.locator(".segment")).to_have_count(segments)
    keys.go_to("Replace all")
    keys.press("Enter")
    expect(page.locator("#found")).to_have_text(f"{found} replaced")
    keys.is_at("Replace all")
    keys.back_to("Undo")
    while page.get_by_role("button", name="Undo").is_enabled():
        keys.press("Enter")
    keys.is_at("Undo")
    keys.go_to("Redo")
    keys.press("Enter")
    keys.go_to("Save")
    keys.press("Enter")
    expect(page.locator("#saved")).to_contain_text("version")
    keys.is_at("Save")

    # Downloads
    keys.go_to("Format")
    keys.press("Home")
    downloaded = []
    for _ in range(page.locator("#format option").count()):
        downloaded.append(page.locator("#format").input_value())
        keys.go_to("Download")
        with page.expect_download():
            keys.press("Enter")
        keys.back_to("Format")
        keys.press("ArrowDown")
    assert set(downloaded) == FORMATS
    keys.go_to("Subtitle layout")
    keys.press("Enter")
    keys.go_to("Characters per line")

    # The microphone, and the history
    keys.back_to("Speak")
    keys.press("Enter")
    keys.is_at("Stop")
    expect(page.locator("#spoken")).to_contain_text("meeting")
    keys.press("Enter")
    keys.is_at("Speak")
    expect(page.locator("#work-title")).not_to_have_text("two-speakers.ogg")
    visited.wait_until_done()
    keys.go_to("Open two-speakers.ogg")
    keys.press("Enter")
    keys.is_at("two-speakers.ogg")
    visited.wait_until_done()
    keys.go_to("Delete two-speakers.ogg")
    keys.press("Enter")
    expect(page.locator("#jobs li")).to_have_count(1)
    keys.focused()
    keys.back_to("Choose recordings, or drop files and folders here")
    assert visited.complaints == []


def test_tab_goes_through_the_page_and_leaves_it(visit: OpenPage) -> None:
    visited = visit(viewport=PHONE)
    page, keys = visited.page, Keys(visited.page)
    visited.transcribe(SHORT)
    visited.wait_until_done()
    page.get_by_role("button", name="Correct the text").click()
    stops: dict[str, list[str]] = {"Tab": [], "Shift+Tab": []}
    for key, names in stops.items():
        page.locator("#file").focus()
        keys.press(key)
        if page.evaluate("document.activeElement === document.body"):  # the browser's own controls
            keys.press(key)
        while page.evaluate("document.activeElement.id !== 'file'") and len(names) < MOST_STOPS:
            if page.evaluate("document.activeElement !== document.body"):
                names.append(keys.focused()["name"])
            keys.press(key)
    assert LEAST_STOPS < len(stops["Tab"]) < MOST_STOPS
    assert stops["Shift+Tab"] == stops["Tab"][::-1]
