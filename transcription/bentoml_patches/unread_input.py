"""Input of a BentoML method whose request body is left to the method.

BentoML 1.4.39 would read the whole upload before the method runs, without a limit, and would fetch a `file` that is
given as a URL. The type that `bentoml.api(input_spec=...)` takes has no public name.
"""

from __future__ import annotations

from typing import Any

from _bentoml_sdk import IODescriptor  # type: ignore[import-untyped]
from starlette.requests import Request


class UnreadInput(IODescriptor):  # type: ignore[misc]
    """Declares the fields for the schema and the clients, and reads none of them."""

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> IODescriptor:
        """An instance with every field None. The body of `request` stays unread."""
        return cls.model_construct(**dict.fromkeys(cls.model_fields))
