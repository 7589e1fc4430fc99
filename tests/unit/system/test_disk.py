"""Space is reserved for a file before it is written, and given back if it is not used."""

import errno
import os
from collections import Counter
from types import SimpleNamespace

import pytest

from transcription.system import disk
from transcription.system.disk import Space, free_space, is_full

MIB = 1 << 20
FREE = 100 * MIB


@pytest.fixture
def new_file(tmp_path):
    """Open files. Their disk has FREE bytes, as far as this service can see."""
    numbers = iter(range(100))
    files = []

    def make():
        files.append((tmp_path / str(next(numbers))).open("wb", buffering=0))
        return files[-1].fileno()

    yield make
    for file in files:
        file.close()


@pytest.fixture
def no_allocation(monkeypatch):
    """A file system that cannot allocate space, with FREE bytes."""
    monkeypatch.setattr(disk, "_allocated", lambda *_: False)
    monkeypatch.setattr(disk, "_promised", Counter())
    monkeypatch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=FREE, f_frsize=1))


def refused(call, *arguments):
    with pytest.raises(OSError, match="bytes are free") as caught:
        call(*arguments)
    return caught.value.errno == errno.ENOSPC


def test_reserved_space_is_allocated_by_the_file_system_without_changing_the_length(new_file):
    file = new_file()
    Space(file, 0).reserve(8 * MIB)
    assert os.fstat(file).st_size == 0
    assert os.fstat(file).st_blocks * 512 >= 8 * MIB


def test_what_was_reserved_and_not_written_is_given_back(new_file):
    file = new_file()
    space = Space(file, 0)
    space.reserve(8 * MIB)
    space.before_write(MIB)
    os.write(file, bytes(MIB))
    space.release()
    assert os.fstat(file).st_size == MIB
    assert os.fstat(file).st_blocks * 512 < 2 * MIB


def test_a_file_that_would_leave_too_little_space_is_refused_before_it_is_written(new_file, no_allocation):
    assert refused(Space(new_file(), 10 * MIB).reserve, 91 * MIB)
    Space(new_file(), 10 * MIB).reserve(90 * MIB)


def test_what_is_reserved_for_one_file_is_not_there_for_another(new_file, no_allocation):
    first, second = Space(new_file(), 0), Space(new_file(), 0)
    first.reserve(60 * MIB)
    assert refused(second.reserve, 60 * MIB)
    first.forget()
    second.reserve(60 * MIB)
    second.forget()


def test_what_has_been_written_is_reserved_no_longer(new_file, no_allocation):
    file = new_file()
    space = Space(file, 0)
    space.reserve(60 * MIB)
    assert free_space(file) == 40 * MIB
    space.before_write(20 * MIB)
    assert free_space(file) == 60 * MIB
    space.release()
    assert free_space(file) == FREE


def test_a_file_of_unknown_size_is_refused_once_too_little_is_left(new_file, no_allocation):
    space = Space(new_file(), FREE - 3 * MIB)
    space.reserve(0)
    space.before_write(3 * MIB)
    assert refused(space.before_write, 4 * MIB)


def test_a_file_within_its_reservation_is_written_however_full_the_disk_is(new_file, no_allocation, monkeypatch):
    space = Space(new_file(), MIB)
    space.reserve(10 * MIB)
    monkeypatch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=1))
    space.before_write(10 * MIB)
    assert refused(space.before_write, 1)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_full_quota_and_a_file_that_may_not_grow_are_alike(code):
    assert is_full(OSError(code, ""))
    assert not is_full(OSError(errno.EIO, ""))
