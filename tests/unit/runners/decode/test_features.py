"""Features, batches and rows are the same numbers whichever library computes them.

Torch works on the CPU, and on a GPU where there is one: docs/decisions/0008-features-on-the-gpu.md.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from runners.decode.arrays import Arrays, Pcm
from runners.decode.engine import Engine, WindowTask
from runners.decode.features import HostArrays, choose_arrays
from runners.decode.model import CUBLAS_LIBRARY, ModelHandle, load_cublas, open_model
from runners.placement import DeviceLayout, Placement
from tests.support.effort import examples
from transcription.core.audio import ENCODER_FRAMES, SAMPLE_RATE, WINDOW_SAMPLES
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import ModelUnavailable
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.transcript import WindowResult

TIMESTAMP_TOLERANCE = 0.1  # seconds, five steps of 0.02 s
HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_GPU = ctranslate2.get_cuda_device_count() > 0
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="needs the extra gpu: pip install '.[gpu]'")
needs_gpu = pytest.mark.skipif(not (HAS_TORCH and HAS_GPU), reason="needs a GPU, and the extra gpu")
TORCH = [pytest.param("torch on cpu", marks=needs_torch), pytest.param("torch on cuda", marks=needs_gpu)]
on_each_torch = pytest.mark.parametrize("where", TORCH)

EXTRACTOR = FeatureExtractor()
TOLERANCE = 5e-4  # of features between about -1.5 and 1.5; 5e-5 is seen
HALF_TOLERANCE = 1e-3  # float16 rounds by up to 5e-4 above 1


def make_arrays(where: str, *, half: bool = False) -> Arrays:
    if where == "numpy":
        return HostArrays(EXTRACTOR)
    from runners.decode.torch_features import TorchArrays

    return TorchArrays(EXTRACTOR, device_of(where), half=half)


def device_of(where: str) -> str:
    return "cuda" if where.endswith("cuda") else "cpu"


@pytest.fixture(params=["numpy", *TORCH])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def arrays(where: str) -> Arrays:
    return make_arrays(where)


def view_of(array: np.ndarray, where: str) -> ctranslate2.StorageView:
    """A copy of an array where the model would be."""
    return ctranslate2.StorageView.from_array(array).to_device(getattr(ctranslate2.Device, device_of(where)))


def on_host(array: Any) -> np.ndarray:
    """A view, a tensor or an array as float32 on the host."""
    if isinstance(array, ctranslate2.StorageView):
        return np.array(array.to(ctranslate2.DataType.float32).to_device(ctranslate2.Device.cpu))
    return np.asarray(array if isinstance(array, np.ndarray) else array.cpu(), np.float32)


def speech(seed: int, count: int, loudness: int = 3000) -> Pcm:
    """Noise whose loudness swells and fades, with a second of digital silence now and then."""
    random = np.random.default_rng(seed)
    swell = np.abs(np.sin(np.arange(count) / SAMPLE_RATE * random.uniform(1, 9)))
    pcm = (random.normal(0, loudness, count) * swell).clip(-32768, 32767).astype(np.int16)
    pcm[random.integers(0, count) :][:SAMPLE_RATE] = 0
    return pcm


def extracted(pcm: Pcm) -> np.ndarray:
    return EXTRACTOR(pcm.astype(np.float32) / 32768)


def close(ours: Any, expected: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    found = on_host(ours)
    return found.shape == expected.shape and bool(np.abs(found - expected).max() < tolerance)


lengths = st.one_of(st.integers(1, 600), st.integers(1, WINDOW_SAMPLES))


@on_each_torch
@given(count=lengths, seed=st.integers(0, 9), loudness=st.sampled_from([0, 1, 100, 32767]))
@example(count=1, seed=0, loudness=3000)
@example(count=40, seed=0, loudness=3000)  # with the trailing zeros, as long as its mirror image
@example(count=41, seed=0, loudness=3000)
@example(count=WINDOW_SAMPLES, seed=0, loudness=3000)
@settings(max_examples=examples(25, 300), deadline=None)
def test_torch_gives_the_features_of_faster_whisper_for_any_length(
    where: str, count: int, seed: int, loudness: int
) -> None:
    pcm = speech(seed, count, loudness)

    [features] = make_arrays(where).log_mel([pcm])

    assert close(features, extracted(pcm))


@on_each_torch
def test_torch_gives_the_loudness_of_each_frame(where: str) -> None:
    [features] = make_arrays(where).log_mel([speech(seed=1, count=48_000)])

    found = make_arrays(where).loudness(features)

    assert isinstance(found, np.ndarray)
    assert np.abs(found - on_host(features).mean(axis=0)).max() < TOLERANCE


@on_each_torch
@given(counts=st.lists(st.integers(1, 60_000), min_size=2, max_size=6), seed=st.integers(0, 9))
@settings(max_examples=examples(10, 100), deadline=None)
def test_a_window_has_its_own_features_whatever_it_is_batched_with(where: str, counts: list[int], seed: int) -> None:
    # From faint to loud: the loudest point of one window must not hide the faint ones of another.
    batch = [speech(seed + row, count, loudness=10 ** min(row, 4)) for row, count in enumerate(counts)]

    together = make_arrays(where).log_mel(batch)

    for features, pcm in zip(together, batch, strict=True):
        assert close(features, extracted(pcm))


@on_each_torch
def test_a_click_that_only_a_dropped_frame_hears_does_not_count_as_loud(where: str) -> None:
    # The frame after the last one is centred on this click; faster-whisper leaves that frame out.
    clicking = speech(seed=3, count=100 * 160 + 159, loudness=30)
    clicking[-1] = 32767

    features, _ = make_arrays(where).log_mel([clicking, speech(seed=4, count=3 * SAMPLE_RATE)])

    assert close(features, extracted(clicking))


@on_each_torch
def test_features_for_a_half_precision_model_are_half_precision(where: str) -> None:
    pcm = speech(seed=1, count=5 * SAMPLE_RATE)
    arrays = make_arrays(where, half=True)

    [features] = arrays.log_mel([pcm])
    view = arrays.stack([features], ENCODER_FRAMES)

    assert view.dtype == ctranslate2.DataType.float16
    assert close(features, extracted(pcm), HALF_TOLERANCE)


def test_the_number_of_frames_is_known_from_the_length(arrays: Arrays) -> None:
    batch = [np.zeros(count, np.int16) for count in (1, 159, 160, 161, WINDOW_SAMPLES)]

    assert [features.shape for features in arrays.log_mel(batch)] == [(80, n) for n in (1, 1, 2, 2, 3001)]


def test_parts_are_stacked_as_faster_whisper_pads_them(arrays: Arrays) -> None:
    long, short = arrays.log_mel([speech(1, WINDOW_SAMPLES), speech(2, 2 * SAMPLE_RATE)])
    parts = [long[:, 0:3000], short[:, 150:200], long[:, 1000:3000], long[:, :0]]

    stacked = arrays.stack(parts, ENCODER_FRAMES)

    assert stacked.shape == [4, 80, ENCODER_FRAMES]
    for found, part in zip(on_host(stacked), parts, strict=True):
        assert np.array_equal(found, pad_or_trim(on_host(part)))


def test_parts_of_a_short_context_are_padded_with_silence(arrays: Arrays) -> None:
    [features] = arrays.log_mel([np.concatenate([speech(1, SAMPLE_RATE), np.zeros(SAMPLE_RATE, np.int16)])])
    silence = on_host(features)[0, -1]

    stacked = on_host(arrays.stack([features[:, :100], features[:, :50]], 300))

    assert stacked.shape == (2, 80, 300)
    assert np.array_equal(stacked[1, :, :50], on_host(features)[:, :50])
    assert np.allclose(stacked[0, :, 100:], silence)


def test_rows_of_an_encoded_batch_are_taken_in_order(arrays: Arrays, where: str) -> None:
    batch = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    encoded = view_of(batch, where)

    rows = arrays.take_rows(encoded, [2, 0])

    assert rows.device == encoded.device
    assert np.array_equal(on_host(rows), batch[[2, 0]])
    assert arrays.take_rows(encoded, [0, 1, 2, 3]) is encoded


def test_rows_that_were_taken_are_a_copy(arrays: Arrays, where: str) -> None:
    batch = np.ones((2, 3, 2), np.float32)
    encoded = ctranslate2.StorageView.from_array(batch) if device_of(where) == "cpu" else view_of(batch, where)
    row = arrays.take_rows(encoded, [1])

    batch[:] = 7

    assert np.array_equal(on_host(row), np.ones((1, 3, 2)))


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_rows_are_taken_from_every_type_an_encoder_computes_in(arrays: Arrays, where: str, kind: str) -> None:
    batch = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    encoded = view_of(batch, where).to(getattr(ctranslate2.DataType, kind))

    assert np.array_equal(on_host(arrays.take_rows(encoded, [2, 1])), batch[[2, 1]])


@cache
def demo_model(device: str) -> ModelHandle:
    compute_type = "int8" if device == "cpu" else "float32"
    return open_model("demo", EMBEDDED_MODEL_DIR / "demo", Placement(device, compute_type), DeviceLayout(1, 1, 8))


def engine_with(arrays: Arrays, where: str) -> Engine:
    return Engine(replace(demo_model(device_of(where)), arrays=arrays))


@on_each_torch
def test_recordings_have_the_same_text_through_torch(where: str, recordings: dict[str, Pcm]) -> None:
    # Fallback, word times and unknown languages: every path that takes rows of the encoder's output.
    named = DecodeOptions(model="demo", temperatures=(0.0,), word_timestamps=True, encoder_context=EncoderContext.FULL)
    tasks = [
        WindowTask(pcm, replace(named, language="en" if row % 2 else None))
        for row, pcm in enumerate(recordings.values())
    ]

    through_numpy = engine_with(make_arrays("numpy"), where).decode(tasks)
    through_torch = engine_with(make_arrays(where), where).decode(tasks)

    assert [result.language for result in through_torch] == [result.language for result in through_numpy]
    for ours, expected in zip(through_torch, through_numpy, strict=True):
        assert [segment.text for segment in ours.segments] == [segment.text for segment in expected.segments]
        # Log-mels differ in their last bits, and on some processors that moves a timestamp token by a step or two.
        assert starts(ours) == pytest.approx(starts(expected), abs=TIMESTAMP_TOLERANCE)
        assert [[word.text for word in segment.words] for segment in ours.segments] == [
            [word.text for word in segment.words] for segment in expected.segments
        ]


def starts(result: WindowResult) -> list[float]:
    return [segment.start for segment in result.segments]


@on_each_torch
def test_recordings_have_the_same_text_in_half_precision(where: str, recordings: dict[str, Pcm]) -> None:
    tasks = [WindowTask(pcm, DecodeOptions(model="demo", temperatures=(0.0,))) for pcm in recordings.values()]

    ours = engine_with(make_arrays(where, half=True), where).decode(tasks)

    expected = engine_with(make_arrays("numpy"), where).decode(tasks)
    assert ["".join(s.text for s in result.segments) for result in ours] == [
        "".join(s.text for s in result.segments) for result in expected
    ]


def test_a_model_on_the_cpu_has_its_features_from_numpy() -> None:
    assert isinstance(choose_arrays(Placement("cpu", "int8"), EXTRACTOR), HostArrays)


@pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")
def test_without_a_torch_for_the_gpu_numpy_takes_over_and_the_log_says_what_to_install() -> None:
    with capture_logs() as lines:
        arrays = choose_arrays(Placement("cuda", "float16"), EXTRACTOR)

    assert isinstance(arrays, HostArrays)
    [line] = lines
    assert line["log_level"] == "warning"
    assert "pip install '.[gpu]'" in line["advice"]


@pytest.fixture
def install_cublas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Put a file where pip puts cuBLAS, beside a record of it, and return its path."""

    def install(library: Path) -> Path:
        folder = tmp_path / "nvidia" / "cublas" / "lib"
        folder.mkdir(parents=True)
        shutil.copy(library, folder / CUBLAS_LIBRARY)
        record = tmp_path / "nvidia_cublas_cu12-12.9.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text("Metadata-Version: 2.1\nName: nvidia-cublas-cu12\nVersion: 12.9.0\n")
        (record / "RECORD").write_text(f"nvidia/cublas/lib/{CUBLAS_LIBRARY},,\n")
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        return folder / CUBLAS_LIBRARY

    return install


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_cublas_that_pip_installed_is_loaded_by_its_path(install_cublas: Callable[[Path], Path]) -> None:
    spec = importlib.util.find_spec("_ctypes")  # any shared library will do
    assert spec is not None
    assert spec.origin is not None
    library = install_cublas(Path(spec.origin))

    load_cublas()

    assert str(library) in Path("/proc/self/maps").read_text()


def test_a_broken_cublas_makes_models_unavailable(install_cublas: Callable[[Path], Path]) -> None:
    install_cublas(Path(__file__))

    with pytest.raises(ModelUnavailable, match="nvidia-cublas-cu12"):
        load_cublas()
