"""Compute the average voices that are subtracted from all: `python -m benchmarks.diarization.average_voices`.

Of the speakers of the choosing half alone, so that figures on the final half are of people that nothing has seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.diarization.conversations import Recipe, build, by_speaker
from benchmarks.diarization.drawn import CHANNELS, CHOOSING, half_of
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.diarization.centres import CENTRES
from transcription.diarization.observations import observe
from transcription.diarization.sessions import OnnxSpeakerModels
from transcription.diarization.weights import FOLDER
from transcription.diarization.windows import WindowCutter

SECONDS = 40.0  # of each speaker on each channel
LEAST_SECONDS = 1.0  # of a piece


def average_voice(models: OnnxSpeakerModels, samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Of the pieces in a recording of one person, shape (192,)."""
    cutter = WindowCutter()
    seen = [observe(window, models) for window in (*cutter.feed(samples), *cutter.finish())]
    return np.concatenate([each.voices[each.seconds >= LEAST_SECONDS] for each in seen]).mean(axis=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--voices", type=Path, nargs="+", required=True, help="folders of recordings of single people")
    options = parser.parse_args(arguments)
    models = OnnxSpeakerModels(EMBEDDED_MODEL_DIR)
    speakers = half_of(by_speaker(*options.voices), CHOOSING)
    averages: dict[bool, list[NDArray[np.float32]]] = {False: [], True: []}  # by whether it is a telephone
    for how in CHANNELS.values():
        recipe = Recipe("one", 1, SECONDS, **how)
        of_channel = [average_voice(models, build(recipe, {name: speakers[name]}, 0).samples) for name in speakers]
        averages[recipe.telephone].append(np.mean(of_channel, axis=0))
    centres = [np.mean(averages[telephone], axis=0) for telephone in (False, True)]
    np.save(EMBEDDED_MODEL_DIR / FOLDER / CENTRES, np.array(centres, np.float32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
