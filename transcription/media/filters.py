"""The filters between ffmpeg's decoder and its output: the time of the file, and its channels."""

from __future__ import annotations

import re

from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import Channel
from transcription.media.intake import containers
from transcription.media.media import Media

JITTER = 0.1  # seconds; timestamps may differ by so much from the samples before them: containers round, clocks drift
START_JITTER = 0.02  # seconds at the first sample, the resolution of Whisper's timestamps
# Seconds. A longer jump is a fault of the timestamps, not a pause. ffmpeg holds the silence of one gap in memory.
MAX_GAP = 7200
MAX_NAMED_CHANNELS = 8  # ffmpeg knows how to mix the layouts that are usual for up to so many channels
# Names under which the channels of unknown positions are handed on one by one, by their number.
LAYOUTS = {3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
# Layouts by which ffmpeg cannot mix, or would lose a voice. Several channels without names, or with unusual ones, are
# those of a recorder with several microphones. Three channels of which one is for bass are the same: programs write
# that where they know nothing.
UNUSUAL_LAYOUT = re.compile(r"2 channels \(.*|binaural|([3-9]|\d\d+) channels.*|2\.1")
ENDLESS = 1e9  # seconds
# Codecs whose frames each state their rate and channels, which change in broadcasts and joined files.
CHANGING = frozenset({"mp1", "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3"})
LATE = 1.0  # seconds after the first timestamp of a stream; so much may be missing or damaged before its first frame


def output_channels(media: Media, channel: Channel) -> int:
    """Channels of the decoded PCM: 1, ready to use; 2, half the sum and half the difference of left and right; or all.

    All of 3 or more whose positions are not known: how they are to be mixed can be told from their sound alone.
    """
    if channel is not Channel.MIX:
        return 1
    if media.channels == 2 or _is_mixed_by_name(media):
        return 2
    # More than have names are handed on as they are, which needs a number that stays.
    is_steady = media.channels > MAX_NAMED_CHANNELS and not _may_change(media)
    return media.channels if media.channels in LAYOUTS or is_steady else 1


def _is_mixed_by_name(media: Media) -> bool:
    """Whether ffmpeg knows how to mix the channels to stereo."""
    return 2 <= media.channels <= MAX_NAMED_CHANNELS and not UNUSUAL_LAYOUT.fullmatch(media.layout)


def audio_filter(media: Media, channel: Channel, max_seconds: float) -> str:
    """ffmpeg's filters for one audio stream. Its output is int16 at 16 kHz and starts at the file's time 0.

    max_seconds: of the file; timestamps beyond are a fault. Timestamps must be those in the file (`-copyts`).
    """
    *selected, layout = _channels(media, channel)
    output = f"aformat=sample_fmts=s16:sample_rates={SAMPLE_RATE}" + (f":channel_layouts={layout}" if layout else "")
    # With timestamps that only `_clock` moves, `async` inserts silence into gaps and never removes a sample.
    return ",".join((*selected, output, _clock(media, max_seconds), "aresample=async=1:first_pts=0"))


def _channels(media: Media, channel: Channel) -> tuple[str, ...]:
    """Filters that select and mix the channels, and the layout of their result, "" for the one that they have."""
    count, kept = media.channels, output_channels(media, channel)
    if count < 2:
        return ("mono",)
    if kept > MAX_NAMED_CHANNELS:
        return ("",)
    if kept > 2:
        return f"channelmap=map={'|'.join(map(str, range(count)))}:channel_layout={LAYOUTS[count]}", LAYOUTS[count]
    if count > 2 and not _is_mixed_by_name(media):
        chosen = {Channel.LEFT: "c0", Channel.RIGHT: "c1"}
        return f"pan=mono|c0={chosen.get(channel) or '+'.join(f'{1 / count:.6f}*c{i}' for i in range(count))}", "mono"
    stereo = (
        "aformat=channel_layouts=stereo" if _is_mixed_by_name(media) else "channelmap=map=0|1:channel_layout=stereo"
    )
    if channel is Channel.MIX:
        return stereo, "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1", "stereo"
    return stereo, f"pan=mono|c0={'c0' if channel is Channel.LEFT else 'c1'}", "mono"


def _clock(media: Media, max_seconds: float) -> str:
    """A filter that gives each frame its time in the file.

    A frame follows the one before it unless its timestamp says that there is a gap. Timestamps that go back, or jump
    further than MAX_GAP or past max_seconds, set the clock anew: no sound is lost for a fault of timestamps.
    Where the sample rate or the channels change, ffmpeg begins again with new filters, to which nothing has happened
    yet. What they return follows what there is, so their clock starts at 0, or they would fill the time before.
    Variables: 0 time at which the frame before ended; 1 correction of timestamps; 2 time of this frame; 3 its gap.
    """
    start = "ld(0)" if media.start is None else f"PTS-({media.start:.6f})/TB+ld(1)"
    # AVI has no timestamps: they are computed from bytes, and wrong for a variable bit rate.
    jitter = ENDLESS if media.demuxer in containers.WITHOUT_TIMESTAMPS else JITTER
    latest = _latest_start(media)
    steps = (
        f"st(2,if(isnan(PTS),ld(0),{start}))",
        "st(3,(ld(2)-ld(0))*TB)",
        f"st(4,if(eq(N,0),{START_JITTER},{jitter}))",
        f"st(5,lt(ld(3),-ld(4))+gt(ld(3),{MAX_GAP})+gt(ld(2)*TB,{max_seconds}))",
        f"st(5,ld(5)+eq(N,0)*gt(ld(2)*TB,{latest:.6f}))",
        "if(ld(5),st(1,ld(1)+ld(0)-ld(2)))",
        "if(ld(5)+lt(ld(3),ld(4)),st(2,ld(0)))",
        "st(0,ld(2)+NB_SAMPLES/SR/TB)",
        "ld(2)",
    )
    return f"asetpts='{';'.join(steps)}'"


def _may_change(media: Media) -> bool:
    """Whether the rate and the channels may change within the stream."""
    return media.codec.removesuffix("float") in CHANGING  # ffmpeg's names of decoders


def _latest_start(media: Media) -> float:
    """Seconds of the file after which a first frame is not that of the stream, but the first after a change."""
    if not _may_change(media) or media.start is None or media.first_sound is None:
        return ENDLESS
    return media.first_sound - media.start + LATE
