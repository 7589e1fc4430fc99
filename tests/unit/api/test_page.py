"""The formats that the server inserts into the page."""

from __future__ import annotations

import re

import pytest

from formats.registry import Kind, ResponseFormat
from transcription.api.page import FORMATS, INDEX, read_asset

PAGE = read_asset(INDEX).content.decode()


@pytest.mark.parametrize("each", ResponseFormat)
def test_the_page_offers_every_format_with_its_file_ending(each: ResponseFormat) -> None:
    [attributes] = re.findall(rf'<option value="{each}" ([^>]*)>{re.escape(each.record.title)}</option>', PAGE)
    assert f'data-ending="{each.record.ending}"' in attributes
    assert ("data-takes-layout" in attributes) == (each.record.kind is not Kind.DOCUMENT)


def test_the_page_has_no_placeholder_left() -> None:
    assert FORMATS.decode() not in PAGE
