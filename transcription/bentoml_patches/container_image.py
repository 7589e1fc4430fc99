"""The container image of the Bento. Imported by `bentoml build` and `bentoml serve` alike."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import bentoml

from transcription.bentoml_patches.container_uv import LOCK

BASE_IMAGE = "python:3.11-slim"  # has Python and the certificates of public authorities
# Of a known distribution BentoML installs a compiler and git first, 400 MB. Every package of the lock file has a wheel,
# and ffmpeg comes with one of them.
NO_PACKAGES = "none"
NO_CACHE = "mkdir --parents /etc/uv && echo 'no-cache = true' > /etc/uv/uv.toml"  # it would stay in the image
UV = Path(__file__).with_name("container_uv.py")
UV_IN_BENTO = "./env/docker/container_uv.py"  # the folder is copied into the image before the commands run
LOCK_FILE = Path(__file__).parents[2] / "requirements-dev.lock"  # where a Bento is built; the Bento has none
OUR_UV = f"chmod +x {UV_IN_BENTO} && {UV_IN_BENTO}"


class SmallImage(bentoml.images.Image):  # type: ignore[misc]  # without types
    """An image that is built with our own `uv`.

    `run_script` would not do: it takes paths from the working folder only, and BentoML copies the image, without its
    scripts, when it reads bentofile.yaml.
    """

    def freeze(self, bento_fs: Path, *others: Any, **more: Any) -> Any:
        """Write the container file, and what it needs, into a Bento."""
        info = super().freeze(bento_fs, *others, **more)
        shutil.copy(UV, bento_fs / UV_IN_BENTO)
        (bento_fs / UV_IN_BENTO).with_name(LOCK).write_text(locked_uv(LOCK_FILE.read_text()))
        return info


def locked_uv(lock: str) -> str:
    """The lines of a lock file that are about uv: its version and hashes. Raises ValueError without any."""
    found = re.search(r"^uv==(.*\\\n)*.*\n", lock, re.MULTILINE)
    if found is None:
        raise ValueError("The lock file has no uv.")
    return found[0]


IMAGE = SmallImage(base_image=BASE_IMAGE, distro=NO_PACKAGES, commands=[NO_CACHE, OUR_UV])
