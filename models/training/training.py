"""The training loop: resumable, with a schedule in minutes."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from models.training.losses import ctc_loss, guided_attention_loss, token_loss
from models.training.network import Shape, Whisper
from models.training.pool import HELD_OUT_VARIANTS, Sentence, load_pool, make_pool, speak_many, texts
from models.training.sentences import GRAMMARS
from models.training.vocabulary import Vocabulary, train_tokenizer
from models.training.windows import IGNORE, Example, Layout, WindowMaker, phoneme_name

SHORT = Layout(seconds=6, single_share=0.45)
FULL = Layout(seconds=30, single_share=0.2)
SHORT_BATCH = 16
FULL_BATCH = 5
FULL_SHARE = 0.4  # of the batches of the second stage
GUIDED_HEADS = 2
PEAK_RATE = 2e-3
WARM_UP_STEPS = 150
DECAY_FROM = 0.4  # share of the time after which the learning rate decreases
LAST_RATE = 0.02  # of the peak
BF16 = True
WEIGHT_CTC = 0.1
WEIGHT_PHONEMES = 0.5
WEIGHT_GUIDE = 0.1
SAVE_EVERY = 150.0  # seconds
LOG_EVERY = 25  # steps
VALIDATE_EVERY = 300  # steps
VALIDATION_SENTENCES = 60  # per language


@dataclass(frozen=True, slots=True)
class Plan:
    """The folder, the minutes of each stage, and the CPU threads of a training run."""

    work_dir: Path
    short_minutes: float
    full_minutes: float
    threads: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples as tensors, padded to the longest. See Example for the fields."""

    features: Tensor
    tokens: Tensor
    targets: Tensor
    spans: Tensor
    phonemes: Tensor
    characters: Tensor
    lengths: Tensor
    offsets: Tensor


@dataclass(frozen=True, slots=True)
class Corpus:
    """The sentences, vocabulary and classes from which examples are made."""

    pool: dict[str, list[Sentence]]
    held_out: dict[str, list[Sentence]]
    vocabulary: Vocabulary
    phonemes: tuple[str, ...]
    characters: str

    def maker(self, pool: dict[str, list[Sentence]]) -> WindowMaker:
        return WindowMaker(pool, self.vocabulary, self.phonemes, self.characters)


def make_corpus(work_dir: Path) -> Corpus:
    """Synthesise the pools and train the tokenizer, or load them if an earlier run did."""
    work_dir.mkdir(parents=True, exist_ok=True)
    pool_file, held_file, tokenizer_file = (work_dir / name for name in ("pool.pkl", "held_out.pkl", "tokenizer.json"))
    if not pool_file.exists():
        make_pool(pool_file)
    pool = load_pool(pool_file)
    if not held_file.exists():
        held = {code: speak_many(code, VALIDATION_SENTENCES, HELD_OUT_VARIANTS, seed=-1) for code in GRAMMARS}
        held_file.write_bytes(pickle.dumps(held))
    if not tokenizer_file.exists():
        train_tokenizer(texts(pool)).save(str(tokenizer_file))
    names = {
        phoneme_name(sentence.language, name)
        for sentences in pool.values()
        for sentence in sentences
        for name, _ in sentence.spoken.phonemes
    }
    characters = "".join(sorted(set("".join(texts(pool)))))
    return Corpus(
        pool,
        pickle.loads(held_file.read_bytes()),
        Vocabulary.load(tokenizer_file),
        tuple(sorted(names - {""})),
        characters,
    )


def collate(examples: list[Example]) -> Batch:
    """One padded batch of the examples."""
    longest = max(len(example.tokens) for example in examples)
    most = max(1, *(len(example.characters) for example in examples))

    def padded(rows: list[list[int]], width: int, value: int) -> Tensor:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])

    spans = [list(e.spans) + [(-1, -1)] * (longest - len(e.spans)) for e in examples]
    return Batch(
        torch.from_numpy(np.stack([e.features for e in examples])),
        padded([e.tokens for e in examples], longest, 0),
        padded([e.targets for e in examples], longest, IGNORE),
        torch.tensor(spans),
        torch.from_numpy(np.stack([e.phonemes for e in examples])),
        padded([e.characters for e in examples], most, 0),
        torch.tensor([len(e.characters) for e in examples]),
        torch.tensor([e.offset for e in examples]),
    )


class Batches(IterableDataset[Batch]):
    """An infinite stream of random batches, created in the process of the data loader."""

    def __init__(self, maker: WindowMaker, full_share: float, seed: int) -> None:
        self._maker = maker
        self._full_share = full_share
        self._seed = seed

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        while True:
            layout, size = (FULL, FULL_BATCH) if rng.random() < self._full_share else (SHORT, SHORT_BATCH)
            yield collate([self._maker.example(layout, rng) for _ in range(size)])


def losses(model: Whisper, batch: Batch, first_timestamp: int) -> dict[str, Tensor]:
    """The losses by name, unweighted, and the accuracy on text tokens, 0..1."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16):
        hidden = model.encoder(batch.features, batch.offsets)
        logits, attention = model.decoder(batch.tokens, hidden, GUIDED_HEADS)
    hidden, logits, attention = hidden.float(), logits.float(), attention.float()
    frames = (batch.phonemes != IGNORE).sum(1)
    phonemes = model.phoneme_head(hidden)
    text = (batch.targets != IGNORE) & (batch.targets < first_timestamp)
    accuracy = (logits.argmax(-1) == batch.targets)[text].float().mean()
    return {
        "tokens": token_loss(logits, batch.targets, first_timestamp),
        "phonemes": nn.functional.cross_entropy(phonemes.flatten(0, 1), batch.phonemes.flatten(), ignore_index=IGNORE),
        "ctc": ctc_loss(model.ctc_head(hidden), frames, batch.characters, batch.lengths),
        "guide": guided_attention_loss(attention, batch.spans),
        "accuracy": accuracy.detach(),
    }


def total(parts: dict[str, Tensor]) -> Tensor:
    """The weighted sum that is minimised."""
    return (
        parts["tokens"]
        + WEIGHT_PHONEMES * parts["phonemes"]
        + WEIGHT_CTC * parts["ctc"]
        + WEIGHT_GUIDE * parts["guide"]
    )


def rate_at(step: int, share: float) -> float:
    """The learning rate relative to its peak: a warm-up by steps, a plateau, and a cosine decay by time.

    share: of the planned time that has passed, 0..1.
    """
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    if share <= DECAY_FROM:
        return warm
    falling = min(1.0, (share - DECAY_FROM) / (1 - DECAY_FROM))
    return warm * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * falling)))


def optimisers(model: Whisper) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside layers, AdamW for the rest."""
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if parameter.dim() == 2 and ".layers." in name else rest).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=PEAK_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=PEAK_RATE, weight_decay=0.01, betas=(0.9, 0.98)),
    ]


@dataclass(slots=True)
class State:
    """The progress of training. seconds: spent in steps, over all runs."""

    step: int = 0
    seconds: float = 0.0


def train(plan: Plan) -> Path:
    """Train, or resume training, for the plan's minutes. Returns the path of the last checkpoint."""
    torch.set_num_threads(plan.threads)
    corpus = make_corpus(plan.work_dir)
    vocabulary = corpus.vocabulary
    shape = Shape(len(vocabulary))
    model = Whisper(shape, len(corpus.phonemes), len(corpus.characters), vocabulary.first_timestamp)
    steppers = optimisers(model)
    state = State()
    checkpoint = plan.work_dir / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for stepper, kept in zip(steppers, saved["optimisers"], strict=True):
            stepper.load_state_dict(kept)
        state = State(saved["step"], saved["seconds"])
    parameters = sum(p.numel() for p in model.encoder.parameters()) + sum(p.numel() for p in model.decoder.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, {len(vocabulary)} tokens, from step {state.step}", flush=True)
    validation = validation_batch(corpus)
    for share_of_full, minutes in ((0.0, plan.short_minutes), (FULL_SHARE, plan.short_minutes + plan.full_minutes)):
        run_stage(model, steppers, state, corpus, share_of_full, 60 * minutes, plan, validation)
    save(checkpoint, model, steppers, state)
    return checkpoint


def validation_batch(corpus: Corpus) -> list[Batch]:
    """Batches of held-out voices, the same ones each time."""
    rng = np.random.default_rng(7)
    maker = corpus.maker(corpus.held_out)
    return [collate([maker.example(SHORT, rng) for _ in range(SHORT_BATCH)]) for _ in range(4)]


def run_stage(
    model: Whisper,
    steppers: list[torch.optim.Optimizer],
    state: State,
    corpus: Corpus,
    full_share: float,
    until: float,
    plan: Plan,
    validation: list[Batch],
) -> None:
    """Train on one mix of windows until the total training time is `until` seconds.

    full_share: share of batches with 30 s windows, 0..1.
    """
    if state.seconds >= until:
        return
    overall = 60 * (plan.short_minutes + plan.full_minutes)
    dataset = Batches(corpus.maker(corpus.pool), full_share, seed=state.step)
    loader = iter(DataLoader(dataset, batch_size=None, num_workers=1, prefetch_factor=4))
    last_save = time.monotonic()
    meter: dict[str, float] = {}
    while state.seconds < until:
        started = time.monotonic()
        rate = rate_at(state.step, state.seconds / overall)
        for stepper in steppers:
            for group in stepper.param_groups:
                group["lr"] = PEAK_RATE * rate
            stepper.zero_grad(set_to_none=True)
        parts = losses(model, next(loader), corpus.vocabulary.first_timestamp)
        total(parts).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
        state.step += 1
        state.seconds += time.monotonic() - started
        for name, value in parts.items():
            meter[name] = meter.get(name, 0.0) + float(value) / LOG_EVERY
        if state.step % LOG_EVERY == 0:
            figures = "  ".join(f"{name} {value:.3f}" for name, value in meter.items())
            print(f"{state.step:6d} {state.seconds / 60:6.1f} min  rate {rate:.2f}  {figures}", flush=True)
            meter = {}
        if state.step % VALIDATE_EVERY == 0:
            with torch.no_grad():
                validated = [losses(model, batch, corpus.vocabulary.first_timestamp) for batch in validation]
            figures = "  ".join(
                f"{name} {sum(float(s[name]) for s in validated) / len(validated):.3f}" for name in validated[0]
            )
            print(f"       held-out voices: {figures}", flush=True)
        if time.monotonic() - last_save > SAVE_EVERY:
            save(plan.work_dir / "checkpoint.pt", model, steppers, state)
            last_save = time.monotonic()


def save(path: Path, model: Whisper, steppers: list[torch.optim.Optimizer], state: State) -> None:
    """Write a checkpoint atomically, so that a killed run can be resumed."""
    fresh = path.with_suffix(".new")
    torch.save(
        {
            "model": model.state_dict(),
            "optimisers": [stepper.state_dict() for stepper in steppers],
            "step": state.step,
            "seconds": state.seconds,
        },
        fresh,
    )
    fresh.replace(path)
