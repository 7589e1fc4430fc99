"""BentoML's tracer provider for our own spans, so that other packages need only OpenTelemetry's API.

BentoML 1.4.39 configures its provider and exporter from `services.tracing`, but registers neither with OpenTelemetry
and has no public name for them.
"""

from __future__ import annotations

from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider

from transcription.telemetry import tracing


class BentoMLTracerProvider(TracerProvider):
    """Hands out BentoML's tracers if an exporter is configured, and tracers that do nothing otherwise.

    BentoML's provider is created with the first tracer, not before: it reads the name of the service, which is not set
    while the service is being imported. Without an exporter it would still record every span, 50 µs each.
    """

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        """A tracer. The arguments are those of `TracerProvider.get_tracer`."""
        if BentoMLContainer.tracing.exporter_type.get() is None:
            return NoOpTracer()
        tracer: Tracer = BentoMLContainer.tracer_provider.get().get_tracer(*args, **kwargs)
        return tracer


def install() -> None:
    """Use the provider for the spans of this process."""
    tracing.use_provider(BentoMLTracerProvider())
