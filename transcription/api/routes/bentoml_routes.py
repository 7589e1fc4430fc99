"""The routes that BentoML itself serves, besides the native API."""

from __future__ import annotations

from transcription.api.middleware.root_path import BENTOML_PAGE, FRONT
from transcription.api.route_facts import Route, RouteFacts

PROBES = ("/healthz", "/livez", "/readyz")
METRICS = "/metrics"
PAGES = (BENTOML_PAGE, "/docs.json", "/schema.json", "/static_content/{file}")
ROUTES = (
    Route("GET", FRONT, RouteFacts(public=True)),  # leads to the web page, which is public
    *(Route("GET", path, RouteFacts(probe=True)) for path in PROBES),
    Route("GET", METRICS, RouteFacts(probe=True, slow=True)),
    *(Route("GET", path) for path in PAGES),
)
