"""Make an API key: prints the key, which is stored nowhere, and the entry for API_KEYS_FILE."""

from __future__ import annotations

import argparse

from pydantic import ValidationError

from transcription.api.middleware.api_keys import KeyEntry, digest_of, make_key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="who calls with it: letters, digits, '.', '_' and '-'")
    parser.add_argument("--uploads-per-minute", type=int, help="limit of this key; without, everybody's")
    parser.add_argument("--reads-per-minute", type=int, help="limit of this key; without, everybody's")
    arguments = parser.parse_args()
    key = make_key()
    try:
        entry = KeyEntry(sha256=digest_of(key), **vars(arguments))
    except ValidationError as error:
        parser.error("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors()))
    print(f"Key, for the caller. It is shown only now:\n\n{key}\n\nEntry, for API_KEYS_FILE:\n\n{entry_text(entry)}")


def entry_text(entry: KeyEntry) -> str:
    """An entry as API_KEYS_FILE has it, TOML."""
    fields = entry.model_dump(exclude_none=True)
    lines = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in fields.items()]
    return "\n".join(["[[keys]]", *lines])


if __name__ == "__main__":
    main()
