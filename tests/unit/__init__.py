import pytest

# Their failing asserts show values, as those of test files do.
pytest.register_assert_rewrite("tests.unit.jobs.store.contract", "tests.unit.jobs.recordings.contract")
