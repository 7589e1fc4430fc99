"""The probes that BentoML itself serves."""

from __future__ import annotations

from transcription.api.route_facts import Route, RouteFacts

PATHS = ("/healthz", "/livez", "/readyz", "/metrics")
ROUTES = tuple(Route("GET", path, RouteFacts(probe=True)) for path in PATHS)
