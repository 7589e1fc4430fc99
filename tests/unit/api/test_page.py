"""The files of the page, and the formats that the server inserts into it."""

from __future__ import annotations

import hashlib
import re

import pytest

from formats.registry import Kind, ResponseFormat
from scripts.check_sizes import MAX_LINES
from transcription.api.page import FOLDER, FORMATS, INDEX, read_asset

PAGE = read_asset(INDEX).content.decode()


@pytest.mark.parametrize("each", ResponseFormat)
def test_the_page_offers_every_format_with_its_file_ending(each: ResponseFormat) -> None:
    attributes, for_all = re.findall(rf'<option value="{each}" ([^>]*)>{re.escape(each.record.title)}</option>', PAGE)
    assert attributes == for_all  # of one recording, and of all
    assert f'data-ending="{each.record.ending}"' in attributes
    assert ("data-takes-layout" in attributes) == (each.record.kind is not Kind.DOCUMENT)


def test_the_page_has_no_placeholder_left() -> None:
    assert FORMATS.decode() not in PAGE


def test_vendored_modules_are_those_that_are_listed_with_their_licences() -> None:
    vendor = FOLDER / "vendor"
    row = re.compile(r"^\| `(\S+)` \|.*\| (?:MIT|BSD-3-Clause), `(\S+)` \| `(\w{64})` \|$", re.MULTILINE)
    rows = row.findall((vendor / "README.md").read_text())
    assert {name: digest for name, _, digest in rows} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendor.glob("*.js")
    }
    assert all("Copyright" in (vendor / licence).read_text() for _, licence, _ in rows)


def test_no_module_of_the_page_is_too_long_to_read() -> None:
    lines = {path.name: path.read_text().count("\n") for path in FOLDER.glob("*.*")}
    assert max(lines.values()) <= MAX_LINES, lines
