"""Whether a decode has left speech unread. Whisper sometimes says that none follows, and a sentence does.

`docs/decisions/0079-unread-speech.md` has the measurements behind every number here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import FRAMES_PER_SECOND

# A pause that ends a part is hardly longer, and what follows a decode of less may be a noise that was taken for a word.
LEAST_FRAMES = 7 * FRAMES_PER_SECOND // 10
LEAST_READ_FRAMES = 3 * FRAMES_PER_SECOND
SOUND_FRAMES = FRAMES_PER_SECOND // 2  # the shortest sound that counts as speech
LEVEL_PERCENTILE = 90  # of the frames that were read: in pauses there is no speech to compare with
AS_LOUD = 0.4  # below the level of what was read, in the units of features: 16 dB


def may_be_unread(read: int, frames: int) -> bool:
    """Whether a decode has read enough, and left enough of its part, that speech may be unread.

    read: frames that it has read, from the first on. frames: of the part.
    """
    return read >= LEAST_READ_FRAMES and frames - read >= LEAST_FRAMES


def is_as_loud(loudness: NDArray[np.float32], read: int) -> bool:
    """Whether a sound as loud as what a decode has read follows it in its part.

    loudness: mean of the features of each frame of the part. read: as for `may_be_unread`, which holds.
    """
    total = np.cumsum(loudness[read:], dtype=np.float64)
    loudest = (total[SOUND_FRAMES:] - total[:-SOUND_FRAMES]).max() / SOUND_FRAMES
    return bool(loudest > np.percentile(loudness[:read], LEVEL_PERCENTILE) - AS_LOUD)
