"""The process that serves HTTP returns its memory, and the others keep their allocator."""

import pytest
from circus import watcher

from transcription.bentoml_patches import api_memory
from transcription.system.malloc import RETURN_MEMORY


@pytest.fixture
def environment_of(monkeypatch):
    """What the supervisor adds to the environment of one of its processes, by its name."""
    monkeypatch.setattr(watcher, "Watcher", watcher.Watcher)
    for name in RETURN_MEMORY:
        monkeypatch.delenv(name, raising=False)
    api_memory.install()
    return lambda name, **env: watcher.Watcher(name=name, cmd="python", args=[], env=env).env


def test_the_process_that_serves_http_has_an_allocator_of_its_own(environment_of):
    assert environment_of("service", BENTO="x") == {**RETURN_MEMORY, "BENTO": "x"}


def test_those_that_it_depends_on_have_not(environment_of):
    assert environment_of("service_whisper_runner", BENTO="x") == {"BENTO": "x"}


@pytest.mark.parametrize(
    ("variable", "value"), [("PYTHONMALLOC", "pymalloc"), ("GLIBC_TUNABLES", "glibc.malloc.check=3")]
)
def test_the_operators_choice_stays(environment_of, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert environment_of("service", BENTO="x") == {"BENTO": "x"}
