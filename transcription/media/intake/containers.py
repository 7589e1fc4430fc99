"""The supported containers, and how to recognise them: first bytes, file extensions, media types."""

from __future__ import annotations

import mimetypes
import struct
from dataclasses import dataclass
from pathlib import PurePath

from transcription.core.audio import SAMPLE_RATE

HEAD_BYTES = 64
# Header of a WAV file of 16-bit, 16 kHz mono samples, of unknown length.
HEAD_OF_RAW_PCM = struct.pack(
    "<4sI4s4sIHHIIHH4sI",
    *(b"RIFF", 0xFFFFFFFF, b"WAVE"),
    *(b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16),
    *(b"data", 0xFFFFFFFF),
)
ID3_HEADER_BYTES = 10


@dataclass(frozen=True, slots=True)
class Container:
    """A family of file formats that share a demuxer.

    name: for messages. demuxer: ffmpeg's name. extensions, types: all that files of the family may have.
    """

    name: str
    demuxer: str
    extensions: frozenset[str]
    types: frozenset[str]


def _container(name: str, demuxer: str, extensions: str, types: str) -> Container:
    return Container(name, demuxer, frozenset(extensions.split()), frozenset(types.split()))


MP3 = _container("MP3", "mp3", ".mp3 .mpga", "audio/mpeg audio/mp3 audio/mpeg3 audio/x-mpeg-3 audio/x-mp3 audio/mpg")
WAV = _container("WAV", "wav", ".wav .wave", "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav")
OGG = _container(
    "Ogg",
    "ogg",
    ".ogg .oga .opus .ogv",
    "audio/ogg video/ogg application/ogg audio/opus audio/vorbis audio/x-vorbis+ogg",
)
FLAC = _container("FLAC", "flac", ".flac", "audio/flac audio/x-flac")
AAC = _container("AAC", "aac", ".aac .adts", "audio/aac audio/aacp audio/x-aac audio/x-hx-aac-adts audio/vnd.dlna.adts")
MP4 = _container(
    "MP4",
    "mov",
    ".mp4 .m4a .m4v .m4b .mov .qt .3gp",
    "audio/mp4 video/mp4 audio/m4a audio/x-m4a audio/mp4a-latm video/x-m4v video/quicktime application/mp4 audio/3gpp "
    "video/3gpp audio/aac",
)
MATROSKA = _container(
    "Matroska/WebM",
    "matroska",
    ".mkv .mka .webm",
    "video/x-matroska audio/x-matroska video/matroska audio/matroska video/webm audio/webm",
)
ASF = _container(
    "WMA", "asf", ".wma .wmv .asf", "audio/x-ms-wma video/x-ms-wmv video/x-ms-asf application/vnd.ms-asf audio/x-wma"
)
AVI = _container("AVI", "avi", ".avi", "video/x-msvideo video/avi video/msvideo video/vnd.avi")
FLV = _container("FLV", "flv", ".flv", "video/x-flv video/flv application/x-flash-video")

ALL = (MP3, WAV, OGG, FLAC, AAC, MP4, MATROSKA, ASF, AVI, FLV)
# Their demuxers compute timestamps from the number of bytes.
WITHOUT_TIMESTAMPS = frozenset({AVI.demuxer})
SUPPORTED = "mp3, wav, ogg, flac, m4a, aac, wma, mp4, webm, avi, mov, mkv, flv"

MAX_STREAMS = 64  # of all kinds; libavformat allocates for each
# ffmpeg's names, for codec_whitelist: the audio codecs of the containers above, and no picture codec.
DECODERS = (
    "mp3float,mp3,mp2float,mp2,mp1float,mp1,aac,aac_fixed,aac_latm,libfdk_aac,flac,alac,wavpack,tta,vorbis,libvorbis,"
    "opus,libopus,speex,libspeex,ac3,ac3_fixed,eac3,dca,truehd,mlp,wmav1,wmav2,wmapro,wmalossless,wmavoice,"
    "amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm,gsm_ms,libgsm,libgsm_ms,nellymoser,qdm2,g722,g726,"
    "adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_swf,adpcm_yamaha,adpcm_g722,adpcm_g726,"
    "pcm_s8,pcm_u8,pcm_s16le,pcm_s16be,pcm_u16le,pcm_u16be,pcm_s24le,pcm_s24be,pcm_u24le,pcm_u24be,"
    "pcm_s32le,pcm_s32be,pcm_u32le,pcm_u32be,pcm_s64le,pcm_s64be,pcm_f16le,pcm_f24le,pcm_f32le,pcm_f32be,"
    "pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw"
)

# Types that clients send for want of a better one.
GENERIC_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-binary"})
_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def open_options(demuxer: str) -> dict[str, str]:
    """Options with which libavformat opens a client's file."""
    return {
        # Playlists and references in the file can open no URL.
        "protocol_whitelist": "file",
        "format_whitelist": demuxer,
        "codec_whitelist": DECODERS,
        "max_streams": str(MAX_STREAMS),
    }


def recognise(head: bytes, after_tag: bytes = b"") -> Container | None:
    """The container that starts with these bytes, or None.

    head: the first HEAD_BYTES of the file. after_tag: as many bytes after its ID3 tag, see `id3_length`.
    """
    if head.startswith(b"ID3"):
        return recognise(after_tag) if after_tag[:4] == b"fLaC" or _is_adts(after_tag) else MP3
    if head[:4] in (b"RIFF", b"RF64"):
        return {b"WAVE": WAV, b"AVI ": AVI}.get(head[8:12])
    if head[4:8] in _ISO_BOXES:
        return MP4
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container
    if _is_adts(head):
        return AAC
    return MP3 if _is_mpeg_audio(head) else None


_MAGIC = (
    (b"OggS", OGG),
    (b"fLaC", FLAC),
    (b"\x1a\x45\xdf\xa3", MATROSKA),  # EBML
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF),  # ASF header object GUID
    (b"FLV\x01", FLV),
)


def _is_adts(head: bytes) -> bool:
    # ISO 14496-3: twelve bits of sync, any MPEG version, layer always 0.
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


def _is_mpeg_audio(head: bytes) -> bool:
    # ISO 11172-3: eleven bits of sync, layer I to III, neither bit rate nor sample rate with the forbidden value.
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version_known, layer_known = head[1] & 0x18 != 0x08, head[1] & 0x06 != 0
    return version_known and layer_known and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C


def id3_length(head: bytes) -> int:
    """Length in bytes of the ID3v2 tag at the start of a file; 0 without one."""
    if not head.startswith(b"ID3") or len(head) < ID3_HEADER_BYTES:
        return 0
    size = 0
    for byte in head[6:10]:  # four times seven bits
        size = size << 7 | byte & 0x7F
    return ID3_HEADER_BYTES + size


def contradiction(container: Container, filename: str, content_type: str) -> str:
    """The contradiction of the file name or the declared type with the content, for a message; empty if none."""
    extension = PurePath(filename).suffix.lower()
    if not _extension_fits(container, extension):
        return f"the file name ends in '{extension}'"
    declared = content_type.partition(";")[0].strip().lower()
    if not _type_fits(container, declared):
        return f"it was sent as '{declared}'"
    return ""


def _extension_fits(container: Container, extension: str) -> bool:
    if extension in container.extensions:
        return True
    if any(extension in other.extensions for other in ALL):
        return False
    # An extension with another known meaning is a contradiction; one without a meaning (.tmp, .part) is not.
    meaning, _ = mimetypes.guess_type(f"x{extension}")
    return meaning is None or meaning in GENERIC_TYPES or meaning in container.types


def _type_fits(container: Container, declared: str) -> bool:
    if declared in GENERIC_TYPES or declared in container.types:
        return True
    if any(declared in other.types for other in ALL):
        return False
    return declared.startswith(("audio/", "video/"))  # probably an alias
