"""The page of docs/LIVE.md, as it stands there, with a microphone and a service."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.browser import PATIENCE_MS, OpenPage
from tests.support.service import ROOT

[EXAMPLE] = re.findall(r"```html\n(.*?)```", (ROOT / "docs" / "LIVE.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_shows_what_is_spoken(visit: OpenPage) -> None:
    # In place of a page of the service, whose address it needs. That page would refuse scripts in the HTML.
    visited = visit(permissions=["microphone"], bypass_csp=True, path="/health")
    page = visited.page
    page.set_content(EXAMPLE)
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#text")).to_contain_text("meeting", timeout=PATIENCE_MS)
    assert visited.complaints == []
