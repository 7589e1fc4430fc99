"""A folder of ours is created private, and refused if another user may have a hand in it."""

import os
import stat

import pytest

from transcription.system.private_folder import UnsafeFolder, open_private, withdraw_rights

STRANGER = 12345  # a user without an account
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path):
    with pytest.raises(UnsafeFolder) as caught:
        open_private(path)
    return str(caught.value)


def test_a_missing_folder_is_created_private_with_its_parents(tmp_path):
    descriptor = open_private(tmp_path / "parent" / "ours")
    assert mode_of(tmp_path / "parent" / "ours") == mode_of(tmp_path / "parent") == 0o700
    assert os.path.samestat(os.fstat(descriptor), (tmp_path / "parent" / "ours").stat())


def test_the_mask_of_the_process_does_not_matter(tmp_path):
    before = os.umask(0)
    try:
        open_private(tmp_path / "ours")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "ours") == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o770, 0o2770])
def test_a_folder_of_ours_that_others_could_enter_becomes_private(tmp_path, mode):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours").chmod(mode)
    open_private(tmp_path / "ours")
    assert mode_of(tmp_path / "ours") == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_everyone_can_write_is_refused(tmp_path, mode):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours").chmod(mode)
    assert "every user" in refusal(tmp_path / "ours")
    assert mode_of(tmp_path / "ours") == mode


def test_a_link_in_its_place_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o755)
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    assert "link" in refusal(tmp_path / "ours")
    assert mode_of(tmp_path / "theirs") == 0o755


def test_a_link_to_nowhere_in_its_place_is_refused(tmp_path):
    (tmp_path / "ours").symlink_to(tmp_path / "nowhere")
    assert "link" in refusal(tmp_path / "ours")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "ours").touch()
    assert "file" in refusal(tmp_path / "ours")


@as_root
def test_a_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "ours").mkdir(mode=0o700)
    os.chown(tmp_path / "ours", STRANGER, STRANGER)
    assert f"belongs to user {STRANGER}" in refusal(tmp_path / "ours")


@as_root
def test_a_link_of_another_user_on_the_way_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "planted").symlink_to(tmp_path / "theirs")
    os.chown(tmp_path / "planted", STRANGER, STRANGER, follow_symlinks=False)
    assert "link" in refusal(tmp_path / "planted" / "ours")
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_link_of_ours_on_the_way_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    open_private(tmp_path / "link" / "ours")
    assert (tmp_path / "elsewhere" / "ours").is_dir()


class TestWithdrawRights:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "jobs"
        folder.mkdir()
        folder.chmod(0o755)
        return folder

    def test_a_folder_that_was_there_before_becomes_private_with_our_files_and_folders(self, folder):
        (folder / "ours").write_bytes(b"")
        (folder / "ours").chmod(0o644)
        (folder / "ours-folder").mkdir()
        (folder / "ours-folder").chmod(0o777)
        assert withdraw_rights(folder, lambda name: name.startswith("ours")) == ""
        assert [mode_of(folder), mode_of(folder / "ours"), mode_of(folder / "ours-folder")] == [0o700, 0o600, 0o700]

    def test_a_folder_with_files_of_others_keeps_its_rights_and_ours_lose_them(self, folder):
        for name in ("ours", "other"):
            (folder / name).write_bytes(b"")
            (folder / name).chmod(0o644)
        assert "other files" in withdraw_rights(folder, lambda name: name == "ours")
        assert [mode_of(folder), mode_of(folder / "ours"), mode_of(folder / "other")] == [0o755, 0o600, 0o644]

    @as_root
    def test_a_folder_of_another_user_keeps_its_rights(self, folder):
        os.chown(folder, STRANGER, STRANGER)
        assert f"user {STRANGER}" in withdraw_rights(folder, lambda _: True)
        assert mode_of(folder) == 0o755

    def test_a_link_with_one_of_our_names_is_not_followed(self, folder, tmp_path):
        (tmp_path / "other").write_bytes(b"")
        (tmp_path / "other").chmod(0o644)
        (folder / "ours").symlink_to(tmp_path / "other")
        withdraw_rights(folder, lambda _: True)
        assert mode_of(tmp_path / "other") == 0o644
