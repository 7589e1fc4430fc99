"""A process of the service goes on as BentoML's own would, without what it never uses."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.service import ROOT
from transcription.bentoml_patches.light_worker import Unused

# Of what BentoML's own command imports before it imports the service: schemas of BentoCloud, and of the supervisor.
LEFT_OUT = ("bentoml._internal.cloud.schemas.schemasv2", "zmq", "tornado.ioloop", "httpx_ws")
STARTED = f"""
import json, sys
from transcription.bentoml_patches import light_worker
assert not any(name.partition(".")[0] in ("bentoml", "starlette") for name in sys.modules), "imported too early"
light_worker.leave_out_what_is_unused()
import _bentoml_impl.worker.service, _bentoml_sdk, _bentoml_impl.server.app
print(json.dumps([name for name in {LEFT_OUT} if name in sys.modules]))
"""


def test_bentoml_is_imported_without_what_is_unused() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_what_is_unused_has_classes_to_derive_from_and_nothing_else() -> None:
    module = Unused("bentoml._internal.cloud")
    assert isinstance(module.RestApiClient, type)
    assert module.RestApiClient.__module__ == "bentoml._internal.cloud"
    assert not hasattr(module, "__path__")
