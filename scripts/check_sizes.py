"""Fail if a Python file has more than 350 lines or a class more than 15 methods. No linter has both rules."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 350
MAX_METHODS = 15


def problems(path: Path, source: str) -> Iterator[str]:
    """One sentence for each thing in a file that is too large."""
    lines = source.count("\n")
    if lines > MAX_LINES:
        yield f"{path}: {lines} lines, more than {MAX_LINES}"
    if path.parts[0] == "tests":
        return  # a class of tests is a list of cases, not an interface
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            functions = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            methods = {each.name for each in functions}  # a property and its setter count once
            if len(methods) > MAX_METHODS:
                yield f"{path}: class {node.name} has {len(methods)} methods, more than {MAX_METHODS}"


def main() -> None:
    """Check every Python file that is tracked or untracked, but not those that git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    files = [Path(name) for name in names if Path(name).is_file()]  # a deleted file may still be tracked
    found = [problem for path in files for problem in problems(path, path.read_text())]
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
