"""API keys: validation, owners, and reloading of the file."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import Clock
from transcription.api.caller import Caller
from transcription.api.middleware.api_keys import (
    MIN_KEY_CHARACTERS,
    InvalidKeys,
    KeyFile,
    KeyRing,
    digest_of,
    make_key,
    open_keys,
)
from transcription.api.middleware.authentication import key_in
from transcription.core.settings import Settings

ROOT = Path(__file__).resolve().parents[4]
KEY, OTHER = make_key(), make_key()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one key, owned by 'mobile'."""
    path = tmp_path / "keys.toml"
    path.write_text(entry("mobile", KEY, "uploads_per_minute = 60"))
    return path


def entry(name: str, key: str, more: str = "") -> str:
    return f'[[keys]]\nname = "{name}"\nsha256 = "{digest_of(key)}"\n{more}\n'


def test_a_key_in_the_file_has_its_own_limits(file: Path) -> None:
    assert KeyRing("", file).find(KEY.encode()) == Caller("mobile", uploads_per_minute=60)


def test_the_single_key_is_named_default() -> None:
    assert KeyRing(KEY, None).find(KEY.encode()) == Caller("default")


def test_the_single_key_and_the_file_can_be_combined(file: Path) -> None:
    ring = KeyRing(OTHER, file)
    assert ring.find(OTHER.encode()) == Caller("default")
    assert ring.find(KEY.encode()) is not None


@given(st.binary(max_size=64))
def test_no_other_bytes_are_accepted_as_a_key(given_bytes: bytes) -> None:
    assert KeyRing(KEY, None).find(given_bytes) is None


@pytest.mark.parametrize(
    "almost",
    [KEY[:-1], KEY + "x", KEY.swapcase(), f" {KEY}", digest_of(KEY)],
    ids=["shorter", "longer", "case swapped", "leading space", "digest"],
)
def test_a_key_that_is_almost_right_is_invalid(almost: str) -> None:
    assert KeyRing(KEY, None).find(almost.encode()) is None


def test_a_short_key_is_invalid_even_if_its_hash_is_listed(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(entry("weak", "hunter2"))
    assert KeyRing("", tmp_path / "keys.toml").find(b"hunter2") is None


def test_a_changed_file_takes_effect_without_a_restart(file: Path, clock: Clock) -> None:
    ring = KeyRing("", file, clock)
    file.write_text(entry("desktop", OTHER))
    clock.now += 1.5
    assert ring.find(OTHER.encode()) == Caller("desktop")
    assert ring.find(KEY.encode()) is None


def test_the_file_is_checked_at_most_once_per_second(file: Path, clock: Clock) -> None:
    ring = KeyRing("", file, clock)
    file.write_text(entry("desktop", OTHER))
    clock.now += 0.5
    assert ring.find(OTHER.encode()) is None


def test_a_file_that_becomes_invalid_leaves_the_old_keys_valid(file: Path, clock: Clock) -> None:
    ring = KeyRing("", file, clock)
    file.write_text("[[keys]\n")
    clock.now += 1.5
    assert ring.find(KEY.encode()) is not None


def test_a_deleted_file_leaves_the_old_keys_valid_until_it_is_back(file: Path, clock: Clock) -> None:
    ring = KeyRing("", file, clock)
    file.unlink()
    clock.now += 1.5
    assert ring.find(KEY.encode()) is not None
    file.write_text(entry("desktop", OTHER))
    clock.now += 1.5
    assert ring.find(KEY.encode()) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[[keys]\n", "not valid TOML"),
        ("", "keys: Field required"),
        ("keys = []", "at least 1 item"),
        ('[[keys]]\nname = "a"\nsha256 = "abc"', "keys.0.sha256"),
        (entry("a b", KEY), "keys.0.name"),
        (entry("a", KEY, 'key = "x"'), "keys.0.key"),
        (entry("a", KEY, "uploads_per_minute = 0"), "keys.0.uploads_per_minute"),
        (entry("a", KEY) + entry("a", OTHER), "'a' is used twice"),
        (entry("a", KEY) + entry("b", KEY), "the same key"),
    ],
    ids=[
        "not TOML",
        "empty",
        "no key",
        "short digest",
        "blank in a name",
        "unknown field",
        "no upload",
        "one name twice",
        "one key twice",
    ],
)
def test_an_invalid_file_is_refused_with_the_location_of_the_fault(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(content)
    with pytest.raises(InvalidKeys, match=problem):
        KeyRing("", path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidKeys, match=r"none\.toml cannot be read"):
        KeyRing("", tmp_path / "none.toml")


def test_a_configuration_without_keys_is_refused_with_a_remedy() -> None:
    with pytest.raises(InvalidKeys, match="Set API_KEY or API_KEYS_FILE"):
        open_keys(Settings(enable_api_key=True))


def test_a_short_single_key_is_refused_and_not_printed() -> None:
    with pytest.raises(InvalidKeys) as refused:
        open_keys(Settings(enable_api_key=True, api_key="hunter2"))
    assert f"at least {MIN_KEY_CHARACTERS} characters, not 7" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_file_is_not_read_when_keys_are_disabled(tmp_path: Path) -> None:
    assert open_keys(Settings(enable_api_key=False, api_keys_file=tmp_path / "none.toml")) is None


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"x-api-key", b"k")], b"k"),
        ([(b"authorization", b"Bearer k")], b"k"),
        ([(b"authorization", b"bearer  k ")], b"k"),
        ([(b"authorization", b"Bearer b"), (b"x-api-key", b"k")], b"k"),
        ([(b"x-api-key", b""), (b"authorization", b"Bearer k")], b"k"),
        ([(b"authorization", b"Basic k")], b""),
        ([(b"authorization", b"Bearer ")], b""),
        ([(b"cookie", b"x-api-key=k")], b""),
        ([], b""),
    ],
)
def test_the_key_is_found_in_either_header(headers: list[tuple[bytes, bytes]], key: bytes) -> None:
    assert key_in(headers) == key


def test_the_script_prints_a_key_and_a_matching_entry(tmp_path: Path) -> None:
    limits = ("--reads-per-minute", "5", "--live-minutes-per-hour", "7")
    command = [sys.executable, "-m", "scripts.make_key", "--name", "mobile", *limits]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    text = lines[lines.index("[[keys]]") :]
    assert KeyFile.model_validate(tomllib.loads(text)).keys[0].name == "mobile"
    (tmp_path / "keys.toml").write_text(text)
    key = lines.splitlines()[2]
    assert KeyRing("", tmp_path / "keys.toml").find(key.encode()) == Caller(
        "mobile", reads_per_minute=5, live_minutes_per_hour=7
    )


def test_a_key_can_be_marked_as_admin(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(entry("root", KEY) + "admin = true\n" + entry("plain", OTHER))
    keys = KeyRing("s" * 43, path)
    found = [keys.find(key.encode()) for key in (KEY, OTHER, "s" * 43)]
    assert [caller and caller.admin for caller in found] == [True, False, False]


@pytest.mark.parametrize("value", ['"yes"', "1", '"true"'])
def test_a_mark_that_is_no_boolean_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(entry("root", KEY) + f"admin = {value}\n")
    with pytest.raises(InvalidKeys, match="admin"):
        KeyRing("", path)


def test_the_script_makes_admin_keys() -> None:
    command = [sys.executable, "-m", "scripts.make_key", "--name", "root", "--admin"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert KeyFile.model_validate(tomllib.loads(lines[lines.index("[[keys]]") :])).keys[0].admin
