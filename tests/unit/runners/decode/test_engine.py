"""The model says the same through our engine as through faster-whisper, on the embedded checkpoint."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runners.decode.engine import Engine, WindowTask
from runners.decode.model import open_model
from runners.placement import DeviceLayout, Placement
from tests.support.effort import examples
from transcription.core.audio import SAMPLE_RATE
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import InvalidParameter, ModelUnavailable
from transcription.core.options import DecodeOptions, EncoderContext, Task
from transcription.core.transcript import WindowResult

CPU = Placement("cpu", "int8")
ONE_SLOT = DeviceLayout(slots=1, threads=1, batch=4)
CERTAIN = DecodeOptions(model="demo", temperatures=(0.0,))  # higher temperatures draw at random

Pcm = NDArray[np.int16]


@pytest.fixture(scope="session")
def reference() -> WhisperModel:
    return WhisperModel(str(EMBEDDED_MODEL_DIR / "demo"), device="cpu", compute_type="int8", cpu_threads=1)


def expected(reference: WhisperModel, pcm: Pcm, **parameters: object) -> list[tuple[object, ...]]:
    segments, _ = reference.transcribe(
        pcm.astype(np.float32) / 32768, condition_on_previous_text=False, temperature=0.0, **parameters
    )
    return [
        (
            *(s.start, s.end, s.text, tuple(s.tokens), s.avg_logprob, s.compression_ratio, s.no_speech_prob, s.seek),
            *((w.word, w.start, w.end, w.probability) for w in s.words or ()),
        )
        for s in segments
    ]


def heard(result: WindowResult) -> list[tuple[object, ...]]:
    return [
        (
            *(s.start, s.end, s.text, s.tokens, s.avg_logprob, s.compression_ratio, s.no_speech_prob, s.seek),
            *((w.text, w.start, w.end, w.probability) for w in s.words),
        )
        for s in result.segments
    ]


def tokens(result: WindowResult) -> list[tuple[int, ...]]:
    return [segment.tokens for segment in result.segments]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"word_timestamps": True},
        {"beam_size": 1},
        {"task": "translate"},
        {"language": "de"},
        {"initial_prompt": "anna, peter"},
        {"hotwords": "the report"},
    ],
    ids=lambda parameters: ", ".join(parameters) or "defaults",
)
def test_a_window_gives_what_faster_whisper_gives_token_for_token(
    demo_engine: Engine, reference: WhisperModel, recordings: dict[str, Pcm], parameters: dict[str, object]
) -> None:
    ours = dict(parameters)
    if "task" in ours:
        ours["task"] = Task(str(ours["task"]))
    options = DecodeOptions(**{"model": "demo", "temperatures": (0.0,), "encoder_context": EncoderContext.FULL, **ours})

    for pcm in recordings.values():
        [result] = demo_engine.decode([WindowTask(pcm, options)])
        assert heard(result) == expected(reference, pcm, **parameters)


@settings(max_examples=examples(5, 60), deadline=None)
@given(data=st.data())
def test_asking_for_word_times_changes_no_token(
    demo_engine: Engine, recordings: dict[str, Pcm], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(recordings)), min_size=1, max_size=3))
    pcm = np.concatenate([recordings[name] for name in names])[: data.draw(st.integers(1, 30)) * SAMPLE_RATE]
    task = WindowTask(pcm, CERTAIN)

    [plain], [timed] = (
        demo_engine.decode([replace(task, options=replace(CERTAIN, word_timestamps=wanted))])
        for wanted in (False, True)
    )

    assert tokens(timed) == tokens(plain)
    assert [segment.seek for segment in timed.segments] == [segment.seek for segment in plain.segments]


def test_batching_changes_no_token(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    tasks = [WindowTask(pcm, CERTAIN) for pcm in recordings.values()]
    alone = [demo_engine.decode([task])[0] for task in tasks]

    together = demo_engine.decode(tasks)

    assert [tokens(result) for result in together] == [tokens(result) for result in alone]
    assert [result.language for result in together] == [result.language for result in alone]


@settings(max_examples=examples(5, 60), deadline=None)
@given(data=st.data())
def test_a_text_does_not_depend_on_the_rest_of_its_batch(
    demo_engine: Engine, recordings: dict[str, Pcm], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(recordings)), min_size=2, max_size=5))
    cuts = data.draw(st.lists(st.integers(1, 30), min_size=len(names), max_size=len(names)))
    languages = data.draw(st.lists(st.sampled_from([None, "en", "de"]), min_size=len(names), max_size=len(names)))
    tasks = [
        WindowTask(recordings[name][: seconds * SAMPLE_RATE], replace(CERTAIN, language=language))
        for name, seconds, language in zip(names, cuts, languages, strict=True)
    ]
    alone = [demo_engine.decode([task])[0] for task in tasks]

    assert [tokens(result) for result in demo_engine.decode(tasks)] == [tokens(result) for result in alone]


def test_languages_named_and_unnamed_share_a_batch(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    english = recordings["en-meeting.mp3"]
    named = DecodeOptions(model="demo", language="de", temperatures=(0.0,))

    first, second = demo_engine.decode([WindowTask(english, named), WindowTask(english, CERTAIN)])

    assert (first.language, first.language_probability) == ("de", 1.0)
    assert second.language == "en"
    assert 0.0 < second.language_probability <= 1.0


def test_a_language_is_detected_without_decoding(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    english = recordings["en-meeting.mp3"]
    [decoded] = demo_engine.decode([WindowTask(english, CERTAIN)])

    [told] = demo_engine.decode([WindowTask(english, replace(CERTAIN, only_language=True))])

    assert (told.language, told.segments) == ("en", ())
    assert told.language_probability == pytest.approx(decoded.language_probability)


def test_a_language_is_detected_among_the_named_ones_only(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    [result] = demo_engine.decode([WindowTask(recordings["en-meeting.mp3"], replace(CERTAIN, languages=("de", "fr")))])

    assert result.language in ("de", "fr")


def test_the_spoken_words_are_heard(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    [result] = demo_engine.decode([WindowTask(recordings["en-meeting.mp3"], CERTAIN)])

    assert "meeting" in "".join(segment.text for segment in result.segments).lower()


def test_only_windows_that_fail_are_decoded_again(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    pcm = recordings["en-meeting.mp3"]
    content = DecodeOptions(model="demo", temperatures=(0.0, 0.2), log_prob_threshold=-100.0)
    never_content = DecodeOptions(model="demo", temperatures=(0.0, 0.2), log_prob_threshold=100.0)

    first, second = demo_engine.decode([WindowTask(pcm, content), WindowTask(pcm, never_content)])

    assert {segment.temperature for segment in first.segments} == {0.0}
    assert {segment.temperature for segment in second.segments} == {0.2}


class CountingModel:
    """The real model, with a count of its calls."""

    def __init__(self, model: object) -> None:
        self._model = model
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> object:
        self.calls[name] += 1
        return getattr(self._model, name)


def test_a_window_is_encoded_once_for_detection_every_temperature_and_word_times(recordings: dict[str, Pcm]) -> None:
    handle = open_model("demo", EMBEDDED_MODEL_DIR / "demo", CPU, ONE_SLOT)
    counting = handle.whisper.model = CountingModel(handle.whisper.model)
    options = DecodeOptions(
        model="demo",
        temperatures=(0.0, 0.2, 0.4),
        log_prob_threshold=100.0,
        no_speech_threshold=2.0,
        word_timestamps=True,
        encoder_context=EncoderContext.FULL,
    )

    [result] = Engine(handle).decode([WindowTask(recordings["en-meeting.mp3"], options)])

    assert result.segments[0].words
    assert counting.calls["detect_language"] == 1
    assert counting.calls["generate"] == 3
    assert counting.calls["align"] == 1
    assert counting.calls["encode"] == 1


def test_a_window_without_speech_has_no_segments(demo_engine: Engine) -> None:
    options = DecodeOptions(model="demo", temperatures=(0.0,), no_speech_threshold=-1.0, log_prob_threshold=100.0)

    [result] = demo_engine.decode([WindowTask(np.ones(SAMPLE_RATE, np.int16), options)])

    assert result.segments == ()


def test_text_decoded_without_speech_is_kept_apart(demo_engine: Engine, recordings: dict[str, Pcm]) -> None:
    options = DecodeOptions(model="demo", temperatures=(0.0,), no_speech_threshold=-1.0, log_prob_threshold=100.0)

    [result] = demo_engine.decode([WindowTask(recordings["en-meeting.mp3"], options)])

    assert result.segments == ()
    assert "meeting" in "".join(segment.text for segment in result.unspoken)


@pytest.mark.parametrize("count", [1, 160, 1600])
def test_a_window_of_any_length_is_decoded_to_its_end(demo_engine: Engine, count: int) -> None:
    [result] = demo_engine.decode([WindowTask(np.ones(count, np.int16), CERTAIN)])

    assert isinstance(result, WindowResult)


def test_a_language_that_does_not_exist_is_refused(demo_engine: Engine) -> None:
    options = DecodeOptions(model="demo", language="xx")

    with pytest.raises(InvalidParameter, match="'xx'"):
        demo_engine.decode([WindowTask(np.ones(SAMPLE_RATE, np.int16), options)])


def test_a_broken_model_is_unavailable(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")

    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        open_model("ours", tmp_path, CPU, ONE_SLOT)


def test_a_model_without_a_tokenizer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json"):
        open_model("ours", tmp_path, CPU, ONE_SLOT)
