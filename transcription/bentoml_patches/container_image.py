"""The container image of the Bento. Imported by `bentoml build` and `bentoml serve` alike."""

from __future__ import annotations

import bentoml

BASE_IMAGE = "python:3.11-slim"  # has Python and the certificates of public authorities
# Of a known distribution BentoML installs a compiler and git first, 400 MB. Every package of the lock file has a wheel,
# and ffmpeg comes with one of them.
NO_PACKAGES = "none"
NO_CACHE = "mkdir --parents /etc/uv && echo 'no-cache = true' > /etc/uv/uv.toml"  # it would stay in the image

IMAGE = bentoml.images.Image(base_image=BASE_IMAGE, distro=NO_PACKAGES, commands=[NO_CACHE])
