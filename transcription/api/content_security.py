"""Content security policies of the pages: what a browser may load and execute."""

from __future__ import annotations

from collections.abc import Mapping

# BentoML's page at / would load a third-party tracker; this policy blocks it.
BASE: Mapping[str, str] = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Swagger UI sets inline styles
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def as_header(policy: Mapping[str, str]) -> str:
    """The value of the header. policy: sources by directive."""
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


def with_directives(changes: Mapping[str, str]) -> str:
    """The base policy with some directives replaced, as the value of the header."""
    return as_header({**BASE, **changes})


DEFAULT_POLICY = as_header(BASE)
