"""What counts as too large."""

from __future__ import annotations

from pathlib import Path

from scripts.check_sizes import MAX_LINES, MAX_METHODS, problems


def a_class(methods: int) -> str:
    return "class Large:\n" + "".join(f"    def method_{number}(self): ...\n" for number in range(methods))


def test_a_file_may_have_as_many_lines_as_the_limit_and_no_more() -> None:
    assert not list(problems(Path("formats/a.py"), "pass\n" * MAX_LINES))
    [problem] = problems(Path("tests/test_a.py"), "pass\n" * (MAX_LINES + 1))
    assert problem == "tests/test_a.py: 351 lines, more than 350"


def test_a_class_may_have_as_many_methods_as_the_limit_and_no_more() -> None:
    assert not list(problems(Path("formats/a.py"), a_class(MAX_METHODS)))
    [problem] = problems(Path("formats/a.py"), a_class(MAX_METHODS + 1))
    assert problem == "formats/a.py: class Large has 16 methods, more than 15"


def test_a_class_of_tests_may_have_any_number_of_them() -> None:
    assert not list(problems(Path("tests/unit/test_a.py"), a_class(MAX_METHODS + 1)))


def test_a_property_and_its_setter_count_once() -> None:
    pair = "    @property\n    def width(self): ...\n    @width.setter\n    def width(self, value): ...\n"
    assert not list(problems(Path("formats/a.py"), a_class(MAX_METHODS - 1) + pair))
