"""The layout that a process starts with, and whether it is to be measured for later starts."""

from __future__ import annotations

from dataclasses import dataclass

from runners.batching.layout import cpu_layouts, fixed_layout, likely_layout
from runners.batching.tuning import LAYOUTS_FILE, Choice, LayoutStore, machine_key
from runners.models.catalogue import EMBEDDED_MODEL, canonical, resolve
from runners.placement import CUDA, Placement
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    """A layout to start with.

    unmeasured: the key under which a measurement would be stored; "" if none is due.
    """

    choice: Choice
    unmeasured: str = ""


def choose_start(settings: Settings, placement: Placement, cores: int) -> Start:
    """What WHISPER_LAYOUT says; for `auto` the stored layout of the default model, otherwise the likely one.

    Measures nothing. May download the default model.
    """
    text, name = settings.whisper_layout, canonical(settings.whisper_model)
    if fixed := fixed_layout(text, placement.device, cores):
        return Start(Choice(fixed, f"WHISPER_LAYOUT={text}"))
    likely = likely_layout(placement.device, cores)
    try:
        key = machine_key(name, resolve(name, settings), placement, cores)
    except TranscriptionError as error:
        # Other models can be served all the same; loading the default one reports what is wrong with it.
        return Start(Choice(likely, f"likely: {error.message}"))
    if known := layout_store(settings).find(key):
        return Start(Choice(known, "measured earlier"))
    if placement.device == CUDA:
        # A second process would take the memory that batches need.
        return Start(Choice(likely, "likely: a GPU is measured by python -m benchmarks.tune only"))
    if name == EMBEDDED_MODEL:
        return Start(Choice(likely, "likely: every layout is fast with the embedded model"))
    if len(cpu_layouts(cores)) == 1:
        return Start(Choice(likely, "the only one for a single core"))
    return Start(Choice(likely, "likely: it is measured when the service is idle"), key)


def layout_store(settings: Settings) -> LayoutStore:
    """The layouts that were measured on this machine."""
    return LayoutStore(settings.cache_dir / LAYOUTS_FILE)
