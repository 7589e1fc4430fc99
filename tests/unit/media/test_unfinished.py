"""A format that states no length shows a cut within its last frame or packet, wherever it is; whole files show none."""

import random
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.media_files import FFMPEG, PICTURE, SPOKEN
from transcription.media.unfinished import AMR_WB_FRAMES, amr, flac, mpeg_ps, mpeg_ts

NARROW = ("-ar", "8000", "-ac", "1", "-c:a", "libopencore_amrnb")
STEREO = ("-ar", "48000", "-ac", "2")
AMR = {"amr": NARROW, "amr with pauses": (*NARROW, "-dtx", "1"), "amr at 4.75 kbit/s": (*NARROW, "-b:a", "4.75k")}
FLAC = {
    "flac": ("-c:a", "flac"),
    "flac of 24 bits": (*STEREO, "-c:a", "flac", "-sample_fmt", "s32", "-ar", "96000"),
    "flac of 5.1": ("-ac", "6", "-c:a", "flac", "-compression_level", "12"),
    "flac of small blocks": ("-c:a", "flac", "-frame_size", "100"),
}
TS = {
    "ts": ("-c:a", "aac", "-f", "mpegts"),
    "ts of mp2": (*STEREO, "-c:a", "mp2", "-f", "mpegts"),
    "ts at a constant rate": (*STEREO, "-c:a", "ac3", "-f", "mpegts", "-muxrate", "1M"),
    "m2ts": ("-c:a", "ac3", "-f", "mpegts", "-mpegts_m2ts_mode", "1"),
}
PS = {
    "mpg": (*STEREO, "-c:a", "mp2", "-f", "mpeg"),
    "vob": (*STEREO, "-c:a", "ac3", "-f", "vob"),
    "dvd": (*STEREO, "-c:a", "ac3", "-f", "dvd"),
    "svcd": ("-ar", "44100", "-c:a", "mp2", "-f", "svcd"),
}
VIDEO = {
    "ts with a picture": ("-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts"),
    "mpg with a picture": ("-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpeg"),
    "vcd with a picture": ("-r", "25", "-c:v", "mpeg1video", "-ar", "44100", "-ac", "2", "-c:a", "mp2", "-f", "vcd"),
    "vob with a picture": (*STEREO, "-c:v", "mpeg2video", "-c:a", "ac3", "-f", "vob"),
}
PS_WITH_PICTURES = [name for name in VIDEO if not name.startswith("ts")]
CHECKS = (
    dict.fromkeys(AMR, amr)
    | dict.fromkeys(FLAC, flac)
    | dict.fromkeys((*TS, "ts with a picture"), mpeg_ts)
    | dict.fromkeys((*PS, *PS_WITH_PICTURES), mpeg_ps)
)
TS_STEP = {"m2ts": 192}
TIME_CODE = {"m2ts": 4}  # bytes of a packet before its sync byte
LONGEST = 3.0  # seconds of speech in each file


def encoded(name):
    """Three seconds of speech, written to a pipe: its muxer cannot go back to count anything."""
    options = (AMR | FLAC | TS | PS | VIDEO)[name]
    form = ("-f", "amr") if name in AMR else ("-f", "flac") if name in FLAC else ()
    picture = PICTURE if name in VIDEO else ()
    command = [FFMPEG, "-v", "error", *picture, "-i", str(SPOKEN), "-t", str(LONGEST), *options, *form, "pipe:1"]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def files():
    return {name: encoded(name) for name in CHECKS}


def breaks_off(check, content):
    return check(lambda place, length: content[place : place + length], len(content))


@pytest.mark.parametrize("name", CHECKS)
def test_a_whole_file_does_not_break_off(files, name):
    assert not breaks_off(CHECKS[name], files[name])


def parts_of(name, content):
    """Where the frames or packets of AMR and TS end."""
    if name in AMR:
        ends, sizes = [6], {0: 13, 1: 14, 2: 16, 3: 18, 4: 20, 5: 21, 6: 27, 7: 32, 8: 6, 15: 1}
        while ends[-1] < len(content):
            ends.append(ends[-1] + sizes[content[ends[-1]] >> 3 & 15])
        return set(ends)
    step = TS_STEP.get(name, 188)
    return {end + extra for end in range(0, len(content) + 1, step) for extra in range(TIME_CODE.get(name, 0) + 1)}


@pytest.mark.parametrize("name", [*AMR, *TS, "ts with a picture"])
def test_every_cut_within_a_frame_or_packet_is_seen_and_no_other(files, name):
    content, check = files[name], CHECKS[name]
    whole = parts_of(name, content)
    for cut in random.Random(0).sample(range(len(content) // 2, len(content)), 300):
        assert breaks_off(check, content[:cut]) == (cut not in whole), cut


@pytest.mark.parametrize("name", [*FLAC, *PS, *PS_WITH_PICTURES])
def test_a_cut_at_a_random_place_is_seen(files, name):
    """Except for one in hundreds, between two frames or packets, or within the header of one."""
    content = files[name]
    cuts = random.Random(0).sample(range(len(content) // 2, len(content)), 300)
    assert sum(breaks_off(CHECKS[name], content[:cut]) for cut in cuts) >= 290


@pytest.mark.parametrize("name", [*TS, "ts with a picture"])
@pytest.mark.parametrize("bytes_lost", [0, 1, 100, 187])
def test_a_broadcast_begins_and_ends_within_a_frame_and_is_no_break(files, name, bytes_lost):
    """Its recorder writes whole packets, of which the first may have lost its start."""
    step = TS_STEP.get(name, 188)
    packets = len(files[name]) // step
    for last in range(packets // 2, packets // 2 + 20):
        assert not breaks_off(mpeg_ts, files[name][7 * step + bytes_lost : last * step])


def test_joined_broadcasts_of_which_one_lost_bytes_are_no_break(files):
    assert not breaks_off(mpeg_ts, files["ts"][:-50] + files["ts"][100:])


def test_packets_with_error_correction_are_whole(files):
    packets = [files["ts"][start : start + 188] for start in range(0, len(files["ts"]), 188)]
    content = b"".join(packet + bytes(16) for packet in packets)
    assert not breaks_off(mpeg_ts, content)
    assert not breaks_off(mpeg_ts, content[:-16])
    assert breaks_off(mpeg_ts, content[:-17])


@pytest.mark.parametrize("name", [*TS, *PS, *VIDEO])
@pytest.mark.parametrize("rest", [b"\0", bytes(1000), bytes(1 << 18), b"not a packet"])
def test_what_follows_the_last_packet_is_no_break(files, name, rest):
    assert not breaks_off(CHECKS[name], files[name] + rest)


@pytest.mark.parametrize("name", FLAC)
@pytest.mark.parametrize("rest", [bytes(1000), b"TAG" + bytes(125), b"tags" + b"APETAGEX" + bytes(24)])
def test_zeros_or_a_tag_after_a_flac_is_no_break(files, name, rest):
    assert not breaks_off(flac, files[name] + rest)


@pytest.mark.parametrize("name", AMR)
@pytest.mark.parametrize("zeros", [1, 100, 1000])
def test_zeros_with_which_a_recorder_fills_up_an_amr_are_no_break(files, name, zeros):
    assert not breaks_off(amr, files[name] + bytes(zeros))


def test_a_tag_before_a_flac_does_not_hide_that_it_breaks_off(files):
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    assert not breaks_off(flac, tag + files["flac"])
    assert breaks_off(flac, tag + files["flac"][:-10])


def test_the_end_code_of_a_program_stream_is_an_end(files):
    assert not breaks_off(mpeg_ps, files["mpg"] + b"\0\0\1\xb9")


def wide_amr(kinds):
    """Frames of AMR-WB of these kinds, filled with anything. ffmpeg has no encoder."""
    noise = random.Random(0)
    frames = [bytes([kind << 3 | 4]) + noise.randbytes(AMR_WB_FRAMES[kind] - 1) for kind in kinds]
    return b"#!AMR-WB\n" + b"".join(frames)


def test_the_lengths_of_frames_of_wide_band_amr_are_those_of_ffmpeg(tmp_path):
    path = tmp_path / "wide.amr"
    path.write_bytes(wide_amr([kind for kind in range(9) for _ in range(10)]))
    command = [FFMPEG, "-v", "error", "-i", str(path), "-f", "s16le", "pipe:1"]
    assert len(subprocess.run(command, capture_output=True, check=True).stdout) == 90 * 320 * 2  # 20 ms each at 16 kHz
    assert not breaks_off(amr, path.read_bytes())
    assert breaks_off(amr, path.read_bytes()[:-1])


@pytest.mark.parametrize("check", [amr, flac, mpeg_ts, mpeg_ps])
@given(
    head=st.sampled_from(
        [b"", b"#!AMR\n", b"#!AMR-WB\n", b"fLaC", b"\0\0\1\xba", b"\0\0\1\xba\x44", b"G" * 188, b"ID3\x04\0\0"]
    ),
    content=st.binary(max_size=400),
)
@example(head=b"fLaC", content=bytes([0, 0, 0, 34, 0, 0, 255, 255]) + bytes(30) + b"\xff\xf8" + bytes(200))
@example(head=b"\0\0\1\xba", content=b"\0\0\1\xbb\0\0" * 30)
def test_no_content_raises(check, head, content):
    assert breaks_off(check, head + content) in (True, False)


HOSTILE = {
    "amr": (amr, b"#!AMR\n" + b"\x7c" * 20_000_000),
    "flac": (flac, b"fLaC" + bytes([0, 0, 0, 34, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0]) + bytes([0, 0, 15, 240]) * 2),
    "packs": (mpeg_ps, b"\0\0\1\xba\x21" + b"\0\0\1\xba\x21\0\0\0\0\0\0\0" * 100_000 + b"junk"),
    "zeros": (mpeg_ps, b"\0\0\1\xba\x44" + bytes(1 << 20)),
    "syncs": (mpeg_ts, b"G" * (1 << 20)),
}
FLAC_HEADS = b"\xff\xf8\x69\x18\0" * 2_000_000


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little(name):
    """Far less than the CPU time of the inspector; counted in bytes that are read, not in time."""
    check, content = HOSTILE[name]
    content += FLAC_HEADS if name == "flac" else b""
    taken = []

    def read(place, length):
        taken.append(length)
        return content[place : place + length]

    check(read, len(content))
    assert sum(taken) < 5_000_000
