"""The routes that BentoML itself serves, besides the native API."""

from __future__ import annotations

from transcription.api.route_facts import Route, RouteFacts

PROBES = ("/healthz", "/livez", "/readyz", "/metrics")
PAGES = ("/", "/docs.json", "/schema.json", "/static_content/{file}")
ROUTES = (
    *(Route("GET", path, RouteFacts(probe=True)) for path in PROBES),
    *(Route("GET", path) for path in PAGES),
)
