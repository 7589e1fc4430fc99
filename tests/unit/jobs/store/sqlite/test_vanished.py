"""A database that vanishes while it is open accepts no job that would be lost."""

import shutil

import pytest

from tests.unit.jobs.store.support import RESULT_TTL, Calls, new_job
from transcription.core.errors import ServiceUnavailable
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path):
    opened = Calls(SqliteStore(tmp_path / "jobs", result_ttl=RESULT_TTL))
    yield opened
    opened.close()


def refused(call, *arguments):
    with pytest.raises(ServiceUnavailable, match="moved or deleted from JOBS_DIR"):
        call(*arguments)


def test_nothing_is_stored_or_read_once_the_folder_is_gone(store, tmp_path):
    store.submit(new_job("before"))
    shutil.rmtree(tmp_path / "jobs")
    refused(store.submit, new_job("after"))
    refused(store.get, "before")
    refused(store.back_up)
    assert not (tmp_path / "jobs").exists()


def test_another_database_in_its_place_is_not_taken_for_it(store, tmp_path):
    (tmp_path / "jobs" / DATABASE_NAME).unlink()
    (tmp_path / "jobs" / DATABASE_NAME).write_bytes(b"")
    refused(store.submit, new_job("after"))


def test_a_database_that_is_put_back_is_used_again(store, tmp_path):
    store.submit(new_job("before"))
    (tmp_path / "jobs").rename(tmp_path / "moved")
    refused(store.submit, new_job("meanwhile"))
    (tmp_path / "moved").rename(tmp_path / "jobs")
    store.submit(new_job("after"))
    assert [job.id for job in store.list_jobs((), None, 10)] == ["after", "before"]
