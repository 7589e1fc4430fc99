"""The structure of a file is read without an error, whatever it is."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transcription.media.completeness import ASF_FILE_PROPERTIES, FLV_SIZE, Ending, ending_of

HEADS = {
    "wav": b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0" + bytes(16),
    "avi": b"RIFF\xff\xff\xff\x7fAVI ",
    "caf": b"caff\0\1\0\0",
    "w64": bytes(40),
    "ogg": b"OggS",
    "asf": ASF_FILE_PROPERTIES,
    "flv": FLV_SIZE,
    "mp3": b"\xff\xfb\x90\x64Xing",
    "aiff": b"FORM\0\0\0\x10AIFF",
    "wv": b"wvpk\x04\0\0\0\x07\x04\0\0",
    "mov": b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moof",
}


@pytest.mark.parametrize("demuxer", HEADS)
@given(
    head=st.booleans(),
    name=st.sampled_from([b"", b"data", b"LIST", b"ID3\x04\0\0"]),
    content=st.binary(max_size=200),
    skip=st.integers(0, 100),
)
@example(head=True, name=b"LIST", content=b"\x7f" * 100, skip=0)  # a size of more bytes than a file can have
@example(head=True, name=b"", content=b"\xff" * 100, skip=0)
def test_no_content_of_a_header_raises(demuxer, head, name, content, skip):
    content = bytes(skip) + (HEADS[demuxer] if head else b"") + name + content
    assert ending_of(io.BytesIO(content), len(content), demuxer, skip) in Ending
