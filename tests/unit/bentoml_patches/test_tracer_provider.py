"""OpenTelemetry's tracers are BentoML's, if it exports any."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from opentelemetry.trace import NoOpTracer

from transcription.bentoml_patches import tracer_provider


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
