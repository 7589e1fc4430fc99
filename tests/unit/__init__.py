import pytest

# Their asserts explain themselves as those of test files do.
pytest.register_assert_rewrite("tests.unit.jobs.store.contract", "tests.unit.jobs.store.contract_ends")
