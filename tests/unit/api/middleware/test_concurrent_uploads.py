"""Limits on the number and total size of the uploads that a client has in progress."""

import pytest

from transcription.api.middleware.concurrent_uploads import ConcurrentUploads
from transcription.core.errors import TooManyUploads


def test_the_number_of_concurrent_uploads_of_a_client_is_limited():
    counts = ConcurrentUploads(max_uploads=2, max_bytes=1000)
    with counts.upload("a", 0), counts.upload("a", 0):
        with pytest.raises(TooManyUploads, match="2 uploads"), counts.upload("a", 0):
            pass
        with counts.upload("b", 0):
            pass
    with counts.upload("a", 0):
        pass


def test_the_total_size_of_concurrent_uploads_of_a_client_is_limited():
    counts = ConcurrentUploads(max_uploads=9, max_bytes=1000)
    with counts.upload("a", 600):
        with pytest.raises(TooManyUploads, match="1000 bytes"), counts.upload("a", 500):
            pass
        with counts.upload("a", 400):
            pass


def test_undeclared_bytes_count_as_they_arrive():
    counts = ConcurrentUploads(max_uploads=9, max_bytes=1000)
    with counts.upload("a", 0) as upload:
        upload.grow_to(900)
        upload.grow_to(800)
        with pytest.raises(TooManyUploads):
            upload.grow_to(1001)


def test_a_client_without_uploads_in_progress_takes_no_memory():
    counts = ConcurrentUploads(max_uploads=1, max_bytes=1000)
    with pytest.raises(ZeroDivisionError), counts.upload("a", 500):
        raise ZeroDivisionError
    with pytest.raises(TooManyUploads), counts.upload("b", 2000):
        pass
    assert counts.clients == 0
    with counts.upload("a", 1000):
        pass
