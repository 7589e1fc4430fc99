"""The supported containers, and how to recognise them: first bytes, file extensions, media types."""

from __future__ import annotations

import mimetypes
import struct
from dataclasses import dataclass
from pathlib import PurePath

from transcription.core.audio import SAMPLE_RATE

HEAD_BYTES = 1024
# Format of 16-bit, 16 kHz mono samples in a WAV file, and the header of one of unknown length.
RAW_PCM = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
HEAD_OF_RAW_PCM = struct.pack(
    "<4sI4s4sI16s4sI",
    *(b"RIFF", 0xFFFFFFFF, b"WAVE"),
    *(b"fmt ", len(RAW_PCM), RAW_PCM),
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


MP3 = _container(
    "MP3",
    "mp3",
    ".mp3 .mpga .mp2 .mp1 .mpa .m2a .mpeg .mpg",
    "audio/mpeg audio/mp3 audio/mpeg3 audio/x-mpeg-3 audio/x-mp3 audio/mpg audio/mp2 audio/x-mp2 audio/mpa video/mpeg",
)
WAV = _container(
    "WAV",
    "wav",
    ".wav .wave .bwf .rf64",
    "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav audio/rf64",
)
OGG = _container(
    "Ogg",
    "ogg",
    ".ogg .oga .opus .ogv .ogx .ogm .spx",
    "audio/ogg video/ogg application/ogg audio/opus audio/vorbis audio/x-vorbis+ogg audio/speex audio/x-speex",
)
FLAC = _container("FLAC", "flac", ".flac .fla", "audio/flac audio/x-flac")
AAC = _container(
    "AAC", "aac", ".aac .adts .aacp", "audio/aac audio/aacp audio/x-aac audio/x-hx-aac-adts audio/vnd.dlna.adts"
)
MP4 = _container(
    "MP4",
    "mov",
    ".mp4 .m4a .m4v .m4b .m4r .m4p .mp4a .mp4v .mov .qt .3gp .3gpp .3g2 .3gpp2 .3ga .f4v .f4a .ismv .isma",
    "audio/mp4 video/mp4 audio/m4a audio/x-m4a audio/mp4a-latm audio/x-m4b audio/x-m4r video/x-m4v video/quicktime "
    "application/mp4 audio/3gpp video/3gpp audio/3gpp2 video/3gpp2 audio/aac video/x-f4v audio/amr",
)
MATROSKA = _container(
    "Matroska/WebM",
    "matroska",
    ".mkv .mka .mk3d .webm .weba",
    "video/x-matroska audio/x-matroska video/matroska audio/matroska video/webm audio/webm",
)
ASF = _container(
    "WMA",
    "asf",
    ".wma .wmv .asf .wm",
    "audio/x-ms-wma video/x-ms-wmv video/x-ms-asf application/vnd.ms-asf audio/x-wma video/x-ms-wm",
)
AVI = _container("AVI", "avi", ".avi .divx", "video/x-msvideo video/avi video/msvideo video/vnd.avi")
FLV = _container("FLV", "flv", ".flv .f4v", "video/x-flv video/flv application/x-flash-video")

PROMISED = (MP3, WAV, OGG, FLAC, AAC, MP4, MATROSKA, ASF, AVI, FLV)

# Accepted because people have them and the sandbox can decode them; not promised.
AMR = _container("AMR", "amr", ".amr .awb", "audio/amr audio/amr-wb audio/amr-nb audio/x-amr audio/3gpp")
AIFF = _container("AIFF", "aiff", ".aiff .aif .aifc .afc", "audio/aiff audio/x-aiff audio/aifc audio/x-aifc")
CAF = _container("CAF", "caf", ".caf", "audio/x-caf audio/caf")
AU = _container("AU", "au", ".au .snd", "audio/basic audio/au audio/x-au audio/snd")
MPEG_TS = _container(
    "MPEG-TS",
    "mpegts",
    ".ts .m2ts .mts .m2t .tsa .mpg .mpeg",
    "video/mp2t audio/mp2t video/mpeg video/vnd.dlna.mpeg-tts",
)
MPEG_PS = _container(
    "MPEG", "mpeg", ".mpg .mpeg .mpe .vob .m2p .m1v .m2v .dat .ps", "video/mpeg video/mp2p video/mpg video/x-mpeg"
)
AC3 = _container("AC-3", "ac3", ".ac3 .a52", "audio/ac3 audio/x-ac3 audio/vnd.dolby.dd-raw")
EAC3 = _container("E-AC-3", "eac3", ".eac3 .ec3 .ac3", "audio/eac3 audio/ac3 audio/vnd.dolby.dd-raw")
WAVPACK = _container("WavPack", "wv", ".wv", "audio/wavpack audio/x-wavpack")
W64 = _container("Wave64", "w64", ".w64 .wav", "audio/x-w64 audio/w64 audio/wav audio/x-wav")

ALL = (*PROMISED, AMR, AIFF, CAF, AU, MPEG_TS, MPEG_PS, AC3, EAC3, WAVPACK, W64)
# Their demuxers compute timestamps from the number of bytes.
WITHOUT_TIMESTAMPS = frozenset({AVI.demuxer})
# Their demuxers count frames from 0 on, those of a pause included, for which the decoder returns nothing.
COUNTS_FRAMES = frozenset({AMR.demuxer})
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
    "pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,s302m,mace3,mace6"
)

# Types that clients send for want of a better one.
GENERIC_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-binary"})
_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def open_options(demuxer: str, skip: int = 0) -> dict[str, str]:
    """Options with which libavformat opens a client's file. skip: bytes before its first frame."""
    return {
        # Playlists and references in the file can open no URL.
        "protocol_whitelist": "file",
        "format_whitelist": demuxer,
        "codec_whitelist": DECODERS,
        "max_streams": str(MAX_STREAMS),
        "skip_initial_bytes": str(skip),
    }


def recognise(head: bytes, after_tag: bytes = b"") -> Container | None:
    """The container that starts with these bytes, or None.

    head: the first HEAD_BYTES of the file. after_tag: as many bytes after its ID3 tag, see `id3_length`.
    """
    if head.startswith(b"ID3"):  # some programs put their tags in front of anything
        return recognise(after_tag) or MP3
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):  # the latter with sizes of 64 bits
        return {b"WAVE": WAV, b"AVI ": AVI}.get(head[8:12])
    if head[:4] == b"FORM":
        return AIFF if head[8:12] in (b"AIFF", b"AIFC") else None
    if head[4:8] in _ISO_BOXES:
        return MP4
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container
    if head.startswith(b"\x0b\x77") and len(head) > 5:
        return AC3 if head[5] >> 3 <= AC3_LAST_BSID else EAC3
    if _is_transport_stream(head):
        return MPEG_TS
    if _is_adts(head):
        return AAC
    return MP3 if _is_mpeg_audio(head) else None


_MAGIC = (
    (b"OggS", OGG),
    (b"fLaC", FLAC),
    (b"\x1a\x45\xdf\xa3", MATROSKA),  # EBML
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF),  # ASF header object GUID
    (b"FLV\x01", FLV),
    (b"#!AMR", AMR),
    (b"caff", CAF),
    (b".snd", AU),
    (b"wvpk", WAVPACK),
    (b"riff\x2e\x91\xcf\x11", W64),  # its GUID
    (b"\x00\x00\x01\xba", MPEG_PS),  # pack header
)
AC3_LAST_BSID = 10  # later versions of the bit stream are E-AC-3
TS_PACKET_BYTES = (188, 192, 204)  # plain, with time codes as in M2TS, with error correction
TS_PACKETS = 4  # in a row that show a transport stream


def _is_transport_stream(head: bytes) -> bool:
    """Whether packets start every 188, 192 or 204 bytes, at any offset: recordings start where they were cut."""
    return any(
        all(head[start + number * size] == 0x47 for number in range(TS_PACKETS))
        for size in TS_PACKET_BYTES
        for start in range(min(size, len(head) - (TS_PACKETS - 1) * size))
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
    # Systems know other things by some extensions, such as .mts and .wv, and clients declare those.
    if declared in {mimetypes.guess_type(f"x{extension}")[0] for extension in container.extensions}:
        return True
    if any(declared in other.types for other in ALL):
        return False
    return declared.startswith(("audio/", "video/"))  # probably an alias
