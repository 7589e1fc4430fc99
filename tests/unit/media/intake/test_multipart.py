"""Multipart forms are parsed in pieces, and within limits."""

import pytest

from tests.unit.media.intake.forms import BOUNDARY, FORM, REFUSED, form, part
from transcription.core.errors import InvalidParameter
from transcription.media.intake.multipart import (
    MAX_ALL_SAMPLES_BYTES,
    MAX_SAMPLE_BYTES,
    MultipartForm,
    NoFile,
    header_text,
    read_boundary,
)


def parsed(body: bytes, size: int = 1000) -> tuple[MultipartForm, bytes]:
    parser = MultipartForm(BOUNDARY.encode(), "file")
    content = b"".join(data for start in range(0, len(body), size) for data in parser.feed(body[start : start + size]))
    parser.close()
    return parser, content


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_is_parsed_in_chunks_of_any_size(size):
    parser, content = parsed(form(part("language", b"en"), part("file", b"content", "a.mp3", "audio/mpeg")), size)
    assert (parser.filename, parser.content_type, content) == ("a.mp3", "audio/mpeg", b"content")


def test_fields_keep_their_order():
    parser, _ = parsed(form(part("language", b"en"), part("file", b"x", "a.mp3"), part("model", "größe".encode())))
    assert parser.fields == [("language", "en"), ("model", "größe")]


def test_json_that_a_browser_sends_as_a_file_is_a_field():
    parser, content = parsed(
        form(part("settings", b'{"a": 1}', "blob", "application/json; charset=utf-8"), part("file", b"x", "a.mp3"))
    )
    assert (parser.fields, content) == ([("settings", '{"a": 1}')], b"x")


@pytest.mark.parametrize("size", [1, 1000])
def test_a_sample_of_a_voice_that_is_sent_as_a_file_is_a_field_with_a_data_url(size):
    samples = [part("known_speaker_references[]", b"RIFF\xff", name, "audio/wav, odd") for name in ("a.wav", "b.wav")]
    parser, content = parsed(form(part("file", b"x", "a.mp3"), *samples), size)
    assert (parser.filename, content) == ("a.mp3", b"x")
    assert parser.fields == [("known_speaker_references[]", "data:;base64,UklGRv8=")] * 2


@pytest.mark.parametrize(("samples", "size"), [(1, MAX_SAMPLE_BYTES), (10, MAX_ALL_SAMPLES_BYTES // 10)])
def test_samples_that_are_sent_as_files_have_the_limits_of_data_urls(samples, size):
    voice = part("known_speaker_references[]", bytes(size * 3 // 4 + 4), "a.wav")
    with pytest.raises(InvalidParameter, match=r"longer than|together"):
        parsed(form(part("file", b"x", "a.mp3"), *[voice] * samples), 65536)


@pytest.mark.parametrize(("samples", "size"), [(50, 10 * 128_000 // 8), (29, 44 + 10 * 16_000 * 2)], ids=["mp3", "wav"])
def test_samples_of_ten_seconds_are_accepted(samples, size):
    voice = part("known_speaker_references[]", bytes(size), "a")
    parser, _ = parsed(form(part("file", b"x", "a.mp3"), *[voice] * samples), 65536)
    assert len(parser.fields) == samples


@pytest.mark.parametrize("name", REFUSED)
def test_a_form_that_breaks_a_rule_is_refused(name):
    body, message = REFUSED[name]
    with pytest.raises(InvalidParameter, match=message):
        parsed(body)


@pytest.mark.parametrize("header", [b"Content-Type: audio/wav", b'Content-Disposition: form-data; filename="a.wav"'])
def test_a_part_without_a_name_is_refused_with_a_message_that_says_so(header):
    with pytest.raises(InvalidParameter, match="no name"):
        parsed(form(f"--{BOUNDARY}\r\n".encode() + header + b"\r\n\r\nRIFF\xff\r\n"))


def test_the_error_for_a_missing_file_has_the_other_fields():
    with pytest.raises(NoFile) as error:
        parsed(form(part("language", b"en")))
    assert error.value.fields == (("language", "en"),)


@pytest.mark.parametrize(
    ("extended", "name"),
    [
        (b"filename*=utf-8''gr%C3%BC%C3%9Fe.mp3", "grüße.mp3"),
        (b"FileName* = UTF-8'en'a%20b.mp3", "a b.mp3"),
        (b"filename=\"plain.mp3\"; filename*=utf-8''other.mp3", "plain.mp3"),
        (b"filename*=utf-8''%FF%00", "\N{REPLACEMENT CHARACTER}" * 2),
    ],
)
def test_a_name_that_is_not_ascii_may_be_percent_encoded(extended, name):
    """As some clients send it, though RFC 7578 forbids it."""
    recording = part("file", b"content", "x").replace(b'filename="x"', extended)
    parser, content = parsed(form(recording))
    assert (parser.filename, content) == (name, b"content")


def test_the_boundary_is_read_from_the_content_type():
    assert read_boundary(FORM, "file") == BOUNDARY.encode()


@pytest.mark.parametrize(
    ("content_type", "message"), [("application/json", "multipart/form-data"), ("multipart/form-data", "boundary")]
)
def test_a_content_type_without_form_or_boundary_is_refused(content_type, message):
    with pytest.raises(InvalidParameter, match=message):
        read_boundary(content_type, "file")


@pytest.mark.parametrize("length", [257, 5000])
def test_a_boundary_that_the_parser_does_not_accept_is_refused(length):
    with pytest.raises(InvalidParameter, match=f"{length} bytes. Send one of at most 256"):
        read_boundary(f"multipart/form-data; boundary={'b' * length}", "file")


def test_the_longest_boundary_is_accepted():
    MultipartForm(read_boundary(f"multipart/form-data; boundary={'b' * 256}", "file"), "file")


def test_the_text_of_a_header_is_short_and_printable():
    assert header_text(b"a\nb\xff") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert len(header_text(b"x" * 1000)) == 255
