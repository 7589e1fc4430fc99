"""Hostile files, made from samples/ by the real ffmpeg: `python -m tests.support.hostile_files FOLDER [--seed N]`.

The same seed and ffmpeg give the same damage. Nothing here is dangerous to look at; the secrets are made up.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, run

from tests.support.media_files import AUDIO_FORMATS, FFMPEG, PICTURE, SPOKEN, VIDEO_FORMATS

FORMATS = AUDIO_FORMATS | VIDEO_FORMATS
CUTS = (0.02, 0.3, 0.97)  # of the file that are left
FLIPS = ((1, 0.001, 0.02), (2, 0.02, 1.0))  # seed, bytes to flip of all, part of the file that is hit
BOMB_SECONDS, METADATA_BYTES = 10 * 3600, 1_500_000
STREAMS, DEPTH = 1000, 5_000  # DEPTH: of boxes in boxes


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file. kind: its class, for the table. name: as the client sends it."""

    kind: str
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Canary:
    """What must never be touched. file: audio beside the uploads. url: of a listener to which nothing may connect."""

    file: Path
    url: str


def make(folder: Path, canary: Canary, seed: int = 0) -> list[Hostile]:
    """Write the corpus into `folder`."""
    whole = {extension: _convert(folder / f"whole.{extension}", extension) for extension in FORMATS}
    made = []
    for kind, generate in KINDS.items():
        for number, (name, content) in enumerate(generate(whole, canary, random.Random(seed))):
            path = folder / f"{kind}-{number}"
            path.write_bytes(content)
            made.append(Hostile(kind.replace("_", " "), name, path))
    return made


Files = Iterator[tuple[str, bytes]]


def _truncated(whole: dict[str, bytes], _: Canary, __: random.Random) -> Files:
    for extension, content in whole.items():
        for part in CUTS:
            yield f"cut.{extension}", content[: int(len(content) * part)]


def _flipped(whole: dict[str, bytes], _: Canary, chance: random.Random) -> Files:
    for extension, content in whole.items():
        for _seed, share, part in FLIPS:
            damaged = bytearray(content)
            for _flip in range(max(4, int(len(content) * share))):
                at = chance.randrange(int(len(content) * part))
                damaged[at] ^= 1 << chance.randrange(8)
            yield f"flipped.{extension}", bytes(damaged)


def _forged(whole: dict[str, bytes], _: Canary, __: random.Random) -> Files:
    """Durations and sample rates that are not so."""
    wav = whole["wav"]
    for rate in (0, 1, 999, 0x7FFFFFFF, 0xFFFFFFFF):
        yield "rate.wav", wav[:24] + struct.pack("<I", rate) + wav[28:]
    for channels in (0, 255, 65535):
        yield "channels.wav", wav[:22] + struct.pack("<H", channels) + wav[24:]
    data = wav.index(b"data")
    for size in (0, 0xFFFFFFFF):
        yield (
            "size.wav",
            wav[:4] + struct.pack("<I", size) + wav[8 : data + 4] + struct.pack("<I", size) + wav[data + 8 :],
        )
    yield "bits.wav", wav[:32] + struct.pack("<HH", 0, 0) + wav[36:]
    for extension in ("m4a", "mov"):
        for box, rates in ((b"mvhd", (0, 1, 0xFFFFFFFF)), (b"mdhd", (0, 1, 0xFFFFFFFF))):
            for value in rates:
                yield f"{box.decode()}.{extension}", _overwritten(whole[extension], box, 16, struct.pack(">I", value))
                yield f"{box.decode()}.{extension}", _overwritten(whole[extension], box, 20, struct.pack(">I", value))
    for seconds in (0.0, 1e-300, 1e300, float("nan"), -1.0):
        yield "duration.mkv", _overwritten(whole["mkv"], b"\x44\x89\x88", 3, struct.pack(">d", seconds))
    flac = bytearray(whole["flac"])
    for rate in (0, 1, 655_350, (1 << 20) - 1):
        flac[18:21] = struct.pack(">I", rate << 4 | flac[20] & 15)[1:]
        yield "rate.flac", bytes(flac)
    flac = bytearray(whole["flac"])
    flac[21:26] = b"\xff\xff\xff\xff\xff"
    yield "duration.flac", bytes(flac)
    ogg = bytearray(whole["ogg"])
    last = ogg.rindex(b"OggS")
    for granule in (0, -1, 1 << 62):
        ogg[last + 6 : last + 14] = struct.pack("<q", granule)
        yield "granule.ogg", bytes(ogg)


def _overwritten(content: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = content.index(mark) + offset
    return content[:at] + value + content[at + len(value) :]


def _references(whole: dict[str, bytes], canary: Canary, __: random.Random) -> Files:
    """Playlists that name a local file and a listener; under their own names, and as sound."""
    for target in (
        str(canary.file),
        f"file://{canary.file}",
        "/etc/passwd",
        canary.url,
        canary.url.replace("http", "tcp"),
    ):
        lists = {
            "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
            "list.ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
            "session.sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nu={target}\nc=IN IP4 127.0.0.1\n"
            "m=audio 5004 RTP/AVP 0\n",
            "list.mpd": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period>"
            "<AdaptationSet mimeType='audio/mp4'><Representation id='1' bandwidth='1'>"
            f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        }
        for name, text in lists.items():
            yield name, text.encode()
            yield "list.mp3", text.encode()
            yield "list.wav", text.encode()
            yield "list.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00" + text.encode()
        yield "drefs.mov", _with_reference(whole["mov"], target)
        yield "drefs.m4a", _with_reference(whole["m4a"], target)


def _with_reference(content: bytes, target: str) -> bytes:
    """A movie whose samples are said to lie in another file: data reference boxes with a URL and with an alias."""
    at = content.rindex(b"dref") - 4
    location = b"url " + bytes(4) + target.encode() + b"\0"
    box = struct.pack(">I", len(location) + 4) + location
    reference = struct.pack(">I4sII", len(box) + 16, b"dref", 0, 1) + box
    old = struct.unpack_from(">I", content, at)[0]
    grown = bytearray(content[:at] + reference + content[at + old :])
    _grow(grown, grown.index(b"moov"), at, len(reference) - old)
    return bytes(grown)


def _grow(content: bytearray, name: int, inside: int, difference: int) -> None:
    """Correct the sizes of the box named at `name` and of all in it that hold `inside`."""
    size = struct.unpack_from(">I", content, name - 4)[0]
    struct.pack_into(">I", content, name - 4, size + difference)  # the boxes around it have grown with it
    if content[name : name + 4] == b"dinf":
        return
    child = name + 4
    while child < name - 4 + size:
        length = struct.unpack_from(">I", content, child)[0]
        if child <= inside < child + length:
            _grow(content, child + 4, inside, difference)
            return
        child += max(length, 8)


def _empty(_: dict[str, bytes], __: Canary, ___: random.Random) -> Files:
    for extension in FORMATS:
        yield f"empty.{extension}", b""
    yield "zeros.wav", bytes(1000)
    yield "header.wav", b"RIFF\x00\x00\x00\x00WAVE"


def _streams(whole: dict[str, bytes], _: Canary, __: random.Random) -> Files:
    """A thousand streams, in two containers that allow them."""
    yield "streams.mkv", matroska_of(STREAMS)
    yield "streams.ogg", b"".join(_ogg_beginning(number) for number in range(STREAMS))
    moov = whole["m4a"].index(b"moov")
    trak = whole["m4a"].index(b"trak", moov) - 4
    length = struct.unpack_from(">I", whole["m4a"], trak)[0]
    boxes = whole["m4a"][trak : trak + length] * STREAMS
    yield "streams.m4a", whole["m4a"][: moov - 4] + struct.pack(">I", 8 + len(boxes)) + b"moov" + boxes


def _element(identity: str, content: bytes) -> bytes:
    return bytes.fromhex(identity) + struct.pack(">Q", len(content) | 1 << 56) + content


def matroska_of(tracks: int) -> bytes:
    """A file of so many streams of PCM, all of them empty."""
    entries = b"".join(
        _element("ae", _element("d7", struct.pack(">H", n)) + _element("83", b"\2") + _element("86", b"A_PCM/INT/LIT"))
        for n in range(1, tracks + 1)
    )
    head = _element("1a45dfa3", _element("4282", b"matroska"))
    return head + _element("18538067", _element("1654ae6b", entries) + _element("1f43b675", _element("e7", b"\0")))


def _ogg_beginning(serial: int) -> bytes:
    packet = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, 16_000, 0, 0)
    page = struct.pack("<4sBBqIIIBB", b"OggS", 0, 2, 0, serial, 0, 0, 1, len(packet)) + packet
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", crc) + page[26:]


def _metadata(whole: dict[str, bytes], _: Canary, __: random.Random) -> Files:
    size = METADATA_BYTES
    tag_size = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    frame = b"TXXX" + bytes((size - 10) >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"\0\0\3"
    yield "tag.mp3", b"ID3\x04\x00\x00" + tag_size + frame + b"a" * (size - len(frame)) + whole["mp3"]
    yield "tag.mp3", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + whole["mp3"]  # 256 MB that are not there
    frames = b"".join(b"TXXX\x00\x00\x00\x05\x00\x00\x03" + b"%03x\0" % (n & 0xFFF) for n in range(size // 15))
    yield (
        "frames.mp3",
        b"ID3\x04\x00\x00" + bytes(len(frames) >> s & 0x7F for s in (21, 14, 7, 0)) + frames + whole["mp3"],
    )
    block = struct.pack(">I", 4 << 24 | size)
    text = struct.pack("<I", 0) + struct.pack("<I", 1) + struct.pack("<I", size - 12) + b"a=" + b"x" * (size - 14)
    yield "comment.flac", whole["flac"][:42] + block + text + whole["flac"][42:]
    yield "comments.flac", whole["flac"][:42] + block + bytes(4) + b"\xff" * 4 + bytes(size - 8) + whole["flac"][42:]


def _images(_: dict[str, bytes], __: Canary, ___: random.Random) -> Files:
    for kind, codec, size in (("png", "png", "64x48"), ("jpg", "mjpeg", "64x48"), ("gif", "gif", "64x48")):
        picture = _run(
            "-f", "lavfi", "-i", f"color=red:size={size}", "-frames:v", "1", "-c:v", codec, "-f", _muxer(kind)
        )
        for name in (f"picture.{kind}", "picture.mp3", "picture.wav"):
            yield name, picture
        yield "picture.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00" + picture
    yield "picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield "picture.mov", _run(*PICTURE, "-c:v", "mjpeg", "-f", "mov", "-movflags", "frag_keyframe+empty_moov")
    # A picture of 4 gigapixels, by its header.
    header = b"IHDR" + struct.pack(">IIBBBBB", 65535, 65535, 8, 6, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    yield "large.png", png


def _muxer(kind: str) -> str:
    return "gif" if kind == "gif" else "image2pipe"


def _polyglots(whole: dict[str, bytes], _: Canary, __: random.Random) -> Files:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("bomb"), bytes(10_000_000), zipfile.ZIP_DEFLATED)
    for extension in ("mp3", "wav", "flac", "m4a"):
        yield f"archive.{extension}", packed.getvalue()
        yield f"polyglot.{extension}", whole[extension] + packed.getvalue()
    yield "script.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00<script>alert(1)</script>" + whole["mp3"]
    yield "pair.mp3", b"\xff\xfb\x90\x00" + whole["wav"]
    yield "pair.wav", whole["wav"] + whole["mp4"]
    yield "elf.mp3", b"\x7fELF" + bytes(500)
    yield "../../../etc/passwd", whole["mp3"]
    yield "name\x00\n<b>.mp3", whole["mp3"]


def _bombs(_: dict[str, bytes], __: Canary, ___: random.Random) -> Files:
    """Ten hours of silence in a few kilobytes or megabytes, with and without a word about it."""
    silence = ("-f", "lavfi", "-i", f"anullsrc=r=2000:cl=mono:d={BOMB_SECONDS}")
    flac = _run(*silence, "-c:a", "flac", "-frame_size", "65535", "-f", "flac")
    yield "bomb.flac", flac
    unknown = bytearray(flac)
    unknown[21:26] = bytes((unknown[21] & 0xF0, 0, 0, 0, 0))
    yield "bomb.flac", bytes(unknown)
    yield "bomb.mkv", _run(*silence, "-c:a", "flac", "-frame_size", "65535", "-f", "matroska", "-live", "1")
    # Thousands of times the same few bytes; a constant frame of MP3 says nothing about how many follow.
    yield "bomb.mp3", (b"\xff\xe3\x18\xc4" + bytes(68)) * 25_000


def _loops(whole: dict[str, bytes], _: Canary, __: random.Random) -> Files:
    """References in circles, and nesting deep enough to overflow a stack."""
    nested = b""
    for _level in range(DEPTH):
        nested = struct.pack(">I", len(nested) + 8) + b"moov" + nested
    yield "deep.mp4", struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + nested
    nested = b""
    for _level in range(DEPTH // 2):
        nested = _element("18538067" if _level % 2 else "1654ae6b", nested)
    yield "deep.mkv", _element("1a45dfa3", _element("4282", b"matroska")) + nested
    for extension in ("m4a", "mov"):
        for box in (b"stts", b"stsc", b"stsz", b"stco", b"elst"):
            if box in whole[extension]:
                yield f"{box.decode()}.{extension}", _overwritten(whole[extension], box, 8, b"\xff\xff\xff\xf0")
                yield f"{box.decode()}.{extension}", _overwritten(whole[extension], box, -4, bytes(4))
    yield "size.avi", whole["avi"][:12] + b"LIST\x00\x00\x00\x00" * 10_000
    yield "chunks.wav", b"RIFF\xff\xff\xff\xffWAVE" + b"junk\x00\x00\x00\x00" * 50_000
    yield "tags.flv", b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00" + bytes(15) * 20_000
    yield "objects.wma", whole["wma"][:30] + bytes(24) * 20_000
    yield "pages.ogg", b"OggS\x00\x00" + bytes(20) + b"\x00" + (b"OggS" + bytes(23)) * 20_000
    yield "sync.aac", b"\xff\xf1\x50\x80\x00\x1f\xfc" * 50_000
    yield (
        "cues.mkv",
        whole["mkv"] + _element("114d9b74", b"\xff" * 1000),
    )


KINDS: dict[str, Callable[[dict[str, bytes], Canary, random.Random], Files]] = {
    "truncated": _truncated,
    "bits_flipped": _flipped,
    "forged_numbers": _forged,
    "names_other_files_or_hosts": _references,
    "empty": _empty,
    "a_thousand_streams": _streams,
    "huge_metadata": _metadata,
    "pictures_as_sound": _images,
    "polyglots_and_archives": _polyglots,
    "decompression_bombs": _bombs,
    "loops_and_depth": _loops,
}


def _convert(target: Path, extension: str) -> bytes:
    source = (*PICTURE, "-i", str(SPOKEN), "-shortest") if extension in VIDEO_FORMATS else ("-i", str(SPOKEN))
    exact = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
    _ffmpeg(*source, *FORMATS[extension], *exact, str(target))
    content = target.read_bytes()
    target.unlink()
    return content


def _run(*arguments: str) -> bytes:
    return _ffmpeg(*arguments, "-fflags", "+bitexact", "pipe:1")


def _ffmpeg(*arguments: str) -> bytes:
    return run([FFMPEG, "-v", "error", "-y", *arguments], check=True, stdin=DEVNULL, stdout=PIPE).stdout


def main() -> None:
    """Write the corpus and list it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    canary = Canary(options.folder / "canary.wav", "http://127.0.0.1:9/x")
    for file in make(options.folder, canary, options.seed):
        print(f"{file.kind:28} {file.name!r:24} {file.path.stat().st_size:9} {file.path}")


if __name__ == "__main__":
    main()
