"""Makes the OpenAPI document fit for generators of clients, such as openapi-python-client and openapi-typescript.

Generated clients send a default as if the user had chosen it, make a class of every inline schema, and know
OpenAPI 3.1 at best.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
COMPONENTS = "#/components/schemas/"
NULL: Document = {"type": "null"}
JSON, STREAM = "application/json", "text/event-stream"


def fit_for_clients(document: Document) -> Document:
    """The document, changed in place. Applied again, it changes nothing.

    - No `default`: it is said in the description.
    - Parameters have no null alternative, which a query cannot express.
    - Enumerations and forms with a title become components, so that each has one name.
    - No `itemSchema` for streams, which OpenAPI 3.1 does not know; and their errors are JSON.
    """
    components: Document = document.setdefault("components", {}).setdefault("schemas", {})
    for operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _named(_fit_parameter(parameter), components)
        for media in _media_types(operation.get("requestBody", {})):
            media["schema"] = _named(_fit_form(media["schema"], components), components)
        for status, response in operation["responses"].items():
            if status >= "400":
                _as_json(response)
            elif STREAM in response.get("content", {}):
                response["content"][STREAM] = {"schema": {"type": "string"}}
    for component in components.values():
        for schema in component.get("properties", {}).values():
            schema.pop("default", None)
    return document


def _operations(document: Document) -> Iterator[Document]:
    for path in document["paths"].values():
        yield from path.values()


def _media_types(holder: Document) -> Iterator[Document]:
    yield from holder.get("content", {}).values()


def _as_json(response: Document) -> None:
    """Move the schema of an error from the media type of the route, which FastAPI assumes, to that of errors."""
    content = response.get("content", {})
    content.get(JSON, {}).update(content.pop(STREAM, {}))


def _fit_parameter(parameter: Document) -> Document:
    schema: Document = parameter["schema"]
    alternatives = [each for each in schema.get("anyOf", ()) if each != NULL]
    if len(alternatives) == 1:
        schema = {**schema, **alternatives[0]}
        del schema["anyOf"]
    default, described = schema.pop("default", None), schema.pop("description", "")
    if text := _with_default(parameter.get("description") or described, default):
        parameter["description"] = text
    return schema


def _fit_form(schema: Document, components: Document) -> Document:
    if "properties" not in schema:
        return schema
    properties = {}
    for name, field in schema["properties"].items():
        default = field.get("default")
        fitted = {key: value for key, value in field.items() if key != "default"}
        if text := _with_default(field.get("description", ""), default):
            fitted["description"] = text
        if "items" in fitted:
            fitted["items"] = _named(_fit_form(fitted["items"], components), components)
        properties[name] = _named(fitted, components)
    return {**schema, "properties": properties}


def _with_default(description: str, default: Any) -> str:
    if default is None or default == "":
        return description
    shown = str(default).lower() if isinstance(default, bool) else default
    return f"{description} Default: {shown}.".strip()


def _named(schema: Document, components: Document) -> Document:
    """A reference to the schema if it is an enumeration or a form with a title, which becomes its name."""
    name = schema.get("title", "")
    if not name or not ("enum" in schema or "properties" in schema):
        return schema
    description = {"description": schema["description"]} if "description" in schema else {}
    own = {key: value for key, value in schema.items() if key not in ("description", "examples")}
    known = components.setdefault(name, own)
    if known.get("enum") != own.get("enum") or known.get("properties") != own.get("properties"):
        raise ValueError(f"Two schemas of the API document are named {name}.")
    return {"$ref": COMPONENTS + name, **({} if "properties" in own else description)}
