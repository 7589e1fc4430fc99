"""How much the encoder sees: as a rule the speech and some silence after it, instead of Whisper's 30 s.

The time of an encoder grows faster than its input, and CTranslate2 encodes any length. Whisper was trained on 30 s
only, so a decode on a shorter context is checked, and made again on all of it when it looks wrong.
`docs/decisions/0050-encoder-context.md` has the measurements behind every number here.
"""

from __future__ import annotations

from runners.decode.rules import Attempt, count_text, early_end, needs_fallback, runs_on
from runners.decode.unread import LEAST_READ_FRAMES
from transcription.core.audio import ENCODER_FRAMES, FRAMES_PER_SECOND
from transcription.core.options import DecodeOptions, EncoderContext

# Silence after the speech. With less, the decoder does not notice the end, and continues.
PADDING_FRAMES = 4 * FRAMES_PER_SECOND
# Lengths of the encoder's input. Few, so that windows of similar length share a batch; none shorter than 10 s, because
# very short ones cost words in languages that the model knows less well, and save little.
CONTEXTS = tuple(seconds * FRAMES_PER_SECOND for seconds in (10, 12, 15, 19, 22, 26, 30))
# An invented continuation has more. Someone who speaks as fast is only decoded twice.
MOST_TOKENS_PER_SECOND = 10
FEWEST_TOKENS = 10  # that may be in a part, however short: a word of several tokens and its full stop
TIMESTAMPS_PER_SECOND = 5  # room for the tokens that are not text
SHORTEST_REST_FRAMES = FRAMES_PER_SECOND // 2  # holds no word
SHORT_REST_FRAMES = FRAMES_PER_SECOND  # holds a word at most, and more often a pause


def encoder_context_of(frames: int, choice: EncoderContext) -> int:
    """The length of the encoder's input for a part of a window, in frames. frames: of the part, 1 to 3,000."""
    if choice is EncoderContext.FULL:
        return ENCODER_FRAMES
    return next((context for context in CONTEXTS if context >= frames + PADDING_FRAMES), ENCODER_FRAMES)


def shortest_rest(choice: EncoderContext) -> int:
    """Frames that are not decoded when they are left after a decode. Whisper itself decodes every rest."""
    return 0 if choice is EncoderContext.FULL else SHORTEST_REST_FRAMES


def is_short_rest(seek: int, frames: int, choice: EncoderContext) -> bool:
    """Whether a part is the little that is left of a window. seek, frames: its start and its length, in frames."""
    return choice is not EncoderContext.FULL and seek > 0 and frames <= SHORT_REST_FRAMES


def most_tokens(frames: int) -> int:
    """Tokens after which a decode on a short context is given up, because it is doubtful by then."""
    return _most_text(frames) + FEWEST_TOKENS + TIMESTAMPS_PER_SECOND * frames // FRAMES_PER_SECOND


def is_doubtful(attempt: Attempt, frames: int, options: DecodeOptions, timestamp_begin: int, *, reads_on: bool) -> bool:
    """Whether a decode on a short context must be made again on all of it.

    timestamp_begin: id of <|0.00|>; every id from there on is a timestamp.
    reads_on: speech behind an early end is noticed, and read, unless too little was read before it; see
        `runners.decode.unread`.
    """
    end = early_end(attempt.tokens, frames, timestamp_begin)
    ends_early = end is not None and not options.draft and not (reads_on and end >= LEAST_READ_FRAMES)
    text = count_text(attempt.tokens, timestamp_begin)
    return (
        text > _most_text(frames)
        or len(attempt.tokens) >= most_tokens(frames)
        or runs_on(attempt.tokens, frames, timestamp_begin)
        or ends_early
        or needs_fallback(attempt, options)
    )


def _most_text(frames: int) -> int:
    return max(FEWEST_TOKENS, MOST_TOKENS_PER_SECOND * frames // FRAMES_PER_SECOND)
