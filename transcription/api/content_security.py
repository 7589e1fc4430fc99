"""Content security policies of the pages: what a browser may load and run in them."""

from __future__ import annotations

from collections.abc import Mapping

# BentoML's page at / would load a tracker from elsewhere; this policy keeps it out.
BASE: Mapping[str, str] = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Swagger UI sets styles
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def as_header(policy: Mapping[str, str]) -> str:
    """The header's value. policy: sources by directive."""
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


def with_directives(changes: Mapping[str, str]) -> str:
    """The base policy with other directives, as the header's value."""
    return as_header({**BASE, **changes})


DEFAULT_POLICY = as_header(BASE)
