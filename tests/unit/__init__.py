import pytest

# Their asserts explain themselves as those of test files do.
pytest.register_assert_rewrite("tests.unit.store_contract", "tests.unit.store_contract_ends")
