"""OpenTelemetry's tracers are BentoML's, if it exports any."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from opentelemetry.trace import NoOpTracer, get_tracer_provider

from transcription.bentoml_patches import tracer_provider


def test_installing_twice_keeps_the_first_provider(caplog: pytest.LogCaptureFixture) -> None:
    tracer_provider.install()
    provider = get_tracer_provider()
    tracer_provider.install()
    assert get_tracer_provider() is provider
    assert caplog.text == ""


def test_without_an_exporter_tracers_record_nothing() -> None:
    assert isinstance(tracer_provider.BentoMLTracerProvider().get_tracer("tested"), NoOpTracer)


def test_with_an_exporter_the_tracers_are_those_of_bentoml(monkeypatch: pytest.MonkeyPatch) -> None:
    class Provider:
        def get_tracer(self, name: str) -> str:
            return f"BentoML's tracer {name}"

    exporting = SimpleNamespace(
        tracing=SimpleNamespace(exporter_type=SimpleNamespace(get=lambda: "otlp")),
        tracer_provider=SimpleNamespace(get=Provider),
    )
    monkeypatch.setattr(tracer_provider, "BentoMLContainer", exporting)
    assert tracer_provider.BentoMLTracerProvider().get_tracer("tested") == "BentoML's tracer tested"
