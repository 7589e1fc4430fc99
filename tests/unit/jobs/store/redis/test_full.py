"""A Redis without space is reported like a full disk."""

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError

from transcription.core.errors import InsufficientStorage, ServiceUnavailable
from transcription.jobs.store.redis.steps import redis_errors

NOT_SAVED = "MISCONF Errors writing to the AOF file: No space left on device"


@pytest.mark.parametrize("error", [OutOfMemoryError("command not allowed"), ResponseError(NOT_SAVED)])
def test_a_redis_without_space_means_insufficient_storage(error):
    with pytest.raises(InsufficientStorage, match="full") as caught, redis_errors():
        raise error
    assert caught.value.retry_after == 60


def test_another_error_of_redis_does_not():
    with pytest.raises(ServiceUnavailable) as caught, redis_errors():
        raise ResponseError("READONLY You can't write against a read only replica.")
    assert caught.value.code == "service_unavailable"
