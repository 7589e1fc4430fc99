"""Create an API key. Prints the key, which is not stored, and its entry for API_KEYS_FILE."""

from __future__ import annotations

import argparse
import json

from pydantic import ValidationError

from transcription.api.middleware.api_keys import KeyEntry, digest_of, make_key


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="name of the client: letters, digits, '.', '_' and '-'")
    parser.add_argument("--uploads-per-minute", type=int, help="limit of this key; by default the general limit")
    parser.add_argument("--reads-per-minute", type=int, help="limit of this key; by default the general limit")
    parser.add_argument("--live-minutes-per-hour", type=int, help="limit of this key; by default the general limit")
    parser.add_argument("--admin", action="store_true", help="the key sees and changes the jobs of all keys")
    arguments = parser.parse_args()
    key = make_key()
    try:
        entry = KeyEntry(sha256=digest_of(key), **vars(arguments))
    except ValidationError as error:
        parser.error("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors()))
    print(
        f"Key, for the client. It cannot be shown again:\n\n{key}\n\nEntry, for API_KEYS_FILE:\n\n{entry_text(entry)}"
    )


def entry_text(entry: KeyEntry) -> str:
    """The entry as TOML, the syntax of API_KEYS_FILE."""
    fields = entry.model_dump(exclude_none=True, exclude_defaults=True)
    # Strings, numbers and booleans are written alike in JSON and TOML.
    return "\n".join(["[[keys]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())])


if __name__ == "__main__":
    main()
