"""A pool of synthesised sentences on disk, created once. Windows are assembled from it during training."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.sentences import GRAMMARS
from models.training.speech import Utterance, Voice, synthesiser

VOICES = {
    "en": ("en-us", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-gb-x-gbclan"),
    "es": ("es", "es-419"),
    "de": ("de",),
    "fr": ("fr", "fr-be", "fr-ch"),
}
# For the evaluation only.
HELD_OUT_VARIANTS = ("f2", "m4", "linda", "Michael")
VARIANTS = (
    "", "f1", "f3", "f4", "f5", "m1", "m2", "m3", "m5", "m6", "m7", "m8", "klatt", "klatt2", "klatt3", "klatt4",
    "anika", "Annie", "Alex", "Alicia", "Andrea", "Andy", "belinda", "benjamin", "boris", "caleb", "david", "ed",
    "edward", "edward2", "gustave", "iven", "iven2", "iven3", "john", "marcelo", "Marco", "Mario", "max", "michel",
    "miguel", "Mike", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph",
    "steph2", "steph3", "travis", "victor", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee",
    "adam", "antonio", "grandma", "grandpa", "aunty", "zac", "ian", "Reed", "mike2", "kaukovalta", "announcer",
    "AnxiousAndy", "RicishayMax", "Tweaky", "robosoft", "UniRobot",
)  # fmt: skip
SENTENCES = {"en": 5200, "es": 3800, "de": 3600, "fr": 3800}
CHUNK = 400  # sentences per task of the process pool


@dataclass(frozen=True, slots=True)
class Sentence:
    """A spoken sentence. phonemes: names qualified by the language."""

    language: str
    text: str
    spoken: Utterance


def random_voice(language: str, variants: tuple[str, ...], rng: random.Random) -> Voice:
    """A random voice of the language, at 115 to 195 words per minute."""
    variant = rng.choice(variants)
    name = rng.choice(VOICES[language]) + (f"+{variant}" if variant else "")
    return Voice(name, rng.randint(115, 195), rng.randint(20, 80), rng.randint(20, 80))


def speak_many(language: str, count: int, variants: tuple[str, ...], seed: int) -> list[Sentence]:
    """`count` random sentences of one language in random voices."""
    rng = random.Random(f"{language}{seed}")
    spoken: list[Sentence] = []
    while len(spoken) < count:
        text = GRAMMARS[language].sentence(rng)
        utterance = synthesiser().speak(text, random_voice(language, variants, rng))
        if utterance is not None and len(utterance.samples) > 1600:
            spoken.append(Sentence(language, text, utterance))
    return spoken


def make_pool(path: Path, processes: int = 2) -> None:
    """Write the pool: all samples, concatenated, to pcm_path(path), and the rest to `path`."""
    tasks = [
        (language, min(CHUNK, total - first), VARIANTS, first)
        for language, total in SENTENCES.items()
        for first in range(0, total, CHUNK)
    ]
    with ProcessPoolExecutor(processes) as executor, pcm_path(path).open("wb") as pcm:
        index, offset = [], 0
        for sentences in executor.map(speak_many, *zip(*tasks, strict=True)):
            for sentence in sentences:
                pcm.write(sentence.spoken.samples.tobytes())
                length = len(sentence.spoken.samples)
                index.append(
                    (
                        sentence.language,
                        sentence.text,
                        offset,
                        length,
                        sentence.spoken.word_starts,
                        sentence.spoken.phonemes,
                    )
                )
                offset += length
    path.write_bytes(pickle.dumps(index))


def pcm_path(path: Path) -> Path:
    """The file with the samples of the pool at `path`."""
    return path.with_suffix(".pcm")


def load_pool(path: Path) -> dict[str, list[Sentence]]:
    """The sentences by language, in memory (about 1 GB), as they are accessed at random."""
    pcm: NDArray[np.int16] = np.fromfile(pcm_path(path), dtype=np.int16)
    pool: dict[str, list[Sentence]] = {language: [] for language in GRAMMARS}
    for language, text, offset, length, words, phonemes in pickle.loads(path.read_bytes()):
        utterance = Utterance(pcm[offset : offset + length], words, phonemes)
        pool[language].append(Sentence(language, text, utterance))
    return pool


def texts(pool: dict[str, list[Sentence]]) -> Iterable[str]:
    """All texts of the pool, for the tokenizer."""
    return (sentence.text for sentences in pool.values() for sentence in sentences)
