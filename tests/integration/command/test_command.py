"""The command `transcribe` in a process of its own, with a server and without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clips import SpokenClip
from tests.support.command import COMMAND, Run, environment
from tests.support.jobs import newest
from tests.support.leftovers import media_processes
from tests.support.recordings import Recordings
from tests.support.service import LocalService, free_port
from tests.support.waiting import wait_until


def test_the_text_is_written_next_to_the_recording(
    run: Run, talk: Path, spoken_clip: SpokenClip, anywhere: list[str]
) -> None:
    done = run(talk, *anywhere)
    assert done.returncode == 0, done.stderr
    assert talk.with_suffix(".txt").read_text() == f"{spoken_clip.text}\n"
    assert done.stderr == f"{talk}: {talk.with_suffix('.txt')}\n"


def test_every_format_at_once_from_one_transcription(run: Run, talk: Path, anywhere: list[str]) -> None:
    done = run(talk, *anywhere, "--output_format", "all", "--word_timestamps", "True", "--max_line_width", "42", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    endings = {path.name.removeprefix("talk") for path in talk.parent.iterdir()}
    assert endings == {".mp3", ".json", ".verbose.json", ".srt", ".vtt", ".tsv", ".lrc", ".txt"}
    assert json.loads(talk.with_suffix(".json").read_text())["words"]


def test_a_bad_file_is_reported_and_the_others_are_transcribed(run: Run, talk: Path, anywhere: list[str]) -> None:
    bad = talk.with_name("bad.mp3")
    bad.write_text("no recording")
    done = run(bad, talk.with_name("nowhere.mp3"), talk, *anywhere)
    assert done.returncode == 1
    first, second, third = done.stderr.splitlines()
    assert first.endswith("nowhere.mp3: cannot be read: No such file or directory")  # before any work
    assert second.startswith(f"{bad}: 'bad.mp3' is not a supported audio or video file.")
    assert third.startswith(f"{talk}: ")
    assert talk.with_suffix(".txt").exists()


def test_standard_input_goes_to_standard_output(run: Run, spoken_clip: SpokenClip, anywhere: list[str]) -> None:
    done = run("-", *anywhere, input=spoken_clip.path.read_bytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{spoken_clip.text}\n", "")


def test_parameters_of_the_service_can_be_set(run: Run, talk: Path, anywhere: list[str]) -> None:
    done = run(talk, *anywhere, "--stdout", "-f", "srt", "--language", "en-US", "--set", "max_line_width=20")
    lines = [line for line in done.stdout.splitlines() if line and "-->" not in line and not line.isdigit()]
    assert len(lines) > 1
    assert max(map(len, lines)) <= 20
    wrong = run(talk, *anywhere, "--stdout", "--set", "beam_sise=2")
    assert wrong.returncode == 1
    assert "Did you mean 'beam_size'?" in wrong.stderr


def test_a_file_that_breaks_off_is_transcribed_with_a_warning(
    run: Run, talk: Path, recordings: Recordings, anywhere: list[str]
) -> None:
    whole = recordings.talk("whole.flac", 10).read_bytes()
    cut = talk.with_name("cut.flac")
    cut.write_bytes(whole[: len(whole) // 2])
    done = run(cut, *anywhere, "--stdout")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert "cut.flac: The file breaks off after" in done.stderr


def test_an_existing_file_is_replaced_only_with_overwrite(run: Run, talk: Path, on_the_server: list[str]) -> None:
    text = talk.with_suffix(".txt")
    text.write_text("corrected by hand")
    refused = run(talk, *on_the_server)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert text.read_text() == "corrected by hand"
    assert run(talk, *on_the_server, "--overwrite").returncode == 0
    assert text.read_text() != "corrected by hand"


def test_two_recordings_of_one_name_do_not_overwrite_each_other(
    run: Run, tmp_path: Path, spoken_clips: dict[str, SpokenClip], anywhere: list[str]
) -> None:
    said = {}
    for folder, language in (("a", "en"), ("b", "es")):
        path = tmp_path / folder / f"talk{spoken_clips[language].path.suffix}"
        path.parent.mkdir()
        path.write_bytes(spoken_clips[language].path.read_bytes())
        said[path] = spoken_clips[language].text
    done = run(*said, *anywhere, "-d", tmp_path / "out", "--overwrite")
    assert done.returncode == 0, done.stderr
    written = {path.read_text(encoding="utf-8").strip() for path in (tmp_path / "out").iterdir()}
    assert written == set(said.values())
    assert all(f"{path}: {tmp_path}/out/" in done.stderr for path in said)


def test_a_result_is_printed_in_utf_8_whatever_the_encoding_of_the_terminal(
    run: Run, tmp_path: Path, spoken_clips: dict[str, SpokenClip], on_the_server: list[str]
) -> None:
    clip = next(clip for clip in spoken_clips.values() if not clip.text.isascii())
    path = (tmp_path / "r\u00e9union \u4e16").with_suffix(clip.path.suffix)
    path.write_bytes(clip.path.read_bytes())
    for encoding in ("ascii", "latin-1", "utf-16"):
        done = run(path, tmp_path / "\u4e16", *on_the_server, "--stdout", PYTHONIOENCODING=encoding)
        assert done.stdout == f"{clip.text}\n"
        assert done.stderr.endswith("\u4e16: cannot be read: No such file or directory\n")


def test_names_and_options_survive_a_locale_without_utf_8(
    run: Run, tmp_path: Path, spoken_clip: SpokenClip, anywhere: list[str]
) -> None:
    path = tmp_path / "r\u00e9union.mp3"
    path.write_bytes(spoken_clip.path.read_bytes())
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(path, *anywhere, "--prompt", "caf\u00e9", **locale)
    assert (done.returncode, done.stderr) == (0, f"{path}: {path.with_suffix('.txt')}\n")
    assert path.with_suffix(".txt").exists()


@pytest.mark.parametrize("source", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_by_its_path_is_standard_input(
    run: Run, spoken_clip: SpokenClip, source: str, on_the_server: list[str]
) -> None:
    done = run(source, *on_the_server, input=spoken_clip.path.read_bytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{spoken_clip.text}\n", "")


def test_the_output_of_a_command_may_be_transcribed(
    spoken_clip: SpokenClip, tmp_path: Path, on_the_server: list[str]
) -> None:
    script = f"{' '.join([*COMMAND, *on_the_server])} <(cat '{spoken_clip.path}') - < '{spoken_clip.path}'"
    done = subprocess.run(["bash", "-c", script], env=environment(tmp_path), capture_output=True, timeout=100)
    assert (done.returncode, done.stdout.decode()) == (0, f"{spoken_clip.text}\n" * 2), done.stderr


def test_standard_output_that_is_full_or_closed_is_an_error(
    tmp_path: Path, talk: Path, on_the_server: list[str]
) -> None:
    for target in (">/dev/full", ">&-"):
        script = f"{' '.join([*COMMAND, *on_the_server])} --stdout '{talk}' {target}"
        done = subprocess.run(["bash", "-c", script], env=environment(tmp_path), capture_output=True, timeout=100)
        assert done.returncode == 1
        assert done.stderr.decode().startswith(f"{talk}: standard output cannot be written: ")
    listed = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} --list-models >/dev/full"], env=environment(tmp_path), capture_output=True
    )
    assert (listed.returncode, listed.stderr.count(b"\n")) == (1, 1)


def test_results_are_written_into_the_output_folder(
    run: Run, talk: Path, tmp_path: Path, on_the_server: list[str]
) -> None:
    assert run(talk, *on_the_server, "-d", tmp_path / "new" / "folder").returncode == 0
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["talk.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["a.mp3", "-f", "docx"], ["-", "-f", "srt", "-f", "vtt"], ["a.mp3", "--set", "async=true"]),
        *(["a.mp3", "--max_line_width", "42"], ["a.mp3", "-s", "localhost", "--device", "cpu"], ["*.mp3"]),
        *(["watch"], ["watch", "nowhere"], ["watch", ".", "--stdout"]),
    ],
)
def test_wrong_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Error:" in done.stderr


def test_an_unreachable_server_ends_with_3(run: Run, talk: Path) -> None:
    done = run(talk, "--server", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "Is the service running?" in done.stderr


def test_a_wrong_address_is_reported_with_the_request_id(run: Run, talk: Path, service: LocalService) -> None:
    done = run(talk, "--server", f"{service.url}/docs", "--stdout")
    assert done.returncode == 1
    assert "(request " in done.stderr


def test_the_server_and_the_key_may_be_in_the_environment(run: Run, talk: Path, service: LocalService) -> None:
    done = run(talk, "--stdout", TRANSCRIBE_SERVER=service.url, TRANSCRIBE_API_KEY="k" * 40)
    assert done.returncode == 0
    assert done.stdout


@pytest.mark.parametrize(
    ("where", "number"), [("server", signal.SIGINT), ("here", signal.SIGINT), ("server", signal.SIGTERM)]
)
def test_an_interrupt_leaves_nothing_of_the_recording(
    service: LocalService, recordings: Recordings, tmp_path: Path, where: str, number: signal.Signals
) -> None:
    long = recordings.talk("interrupted.mp3", 590)
    earlier = newest(service.url).get("job_id")
    server = ["--server", service.url] if where == "server" else []
    process = subprocess.Popen(
        # A shell that runs the tests in the background makes them ignore interrupts, and children inherit that.
        ["env", "--default-signal=INT", *COMMAND, str(long), "-d", str(tmp_path), *server],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    if where == "server":
        assert wait_until(lambda: newest(service.url).get("job_id") not in (earlier, None), 60)
    assert wait_until(lambda: media_processes(service if where == "server" else process), 60)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert number == signal.SIGTERM or "interrupted" in complaint
    assert not list(tmp_path.glob("*.txt"))
    if where == "server":
        assert newest(service.url)["status"] == "cancelled"


def test_an_unknown_model_is_refused_with_a_suggestion(run: Run, talk: Path, anywhere: list[str]) -> None:
    done = run(talk, *anywhere, "--model", "dmo")
    assert done.returncode == 2
    assert "no model 'dmo'. Did you mean 'demo'?" in done.stderr


def test_models_are_listed(run: Run, anywhere: list[str]) -> None:
    lines = run("--list-models", *anywhere).stdout.splitlines()
    assert next(line.split() for line in lines if line.startswith("demo "))[-3:] == ["default,", "on", "disk"]


def test_the_scheme_of_the_server_may_be_left_out(run: Run, talk: Path, service: LocalService) -> None:
    done = run(talk, "--stdout", "-s", service.url.removeprefix("http://"))
    assert (done.returncode, bool(done.stdout)) == (0, True)


def test_a_folder_that_cannot_be_written_is_reported_before_any_work(run: Run, talk: Path, anywhere: list[str]) -> None:
    done = run(talk, *anywhere, "-o", "/proc/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{talk}: nothing can be written into /proc/nowhere: ")


def test_a_recording_without_speech_is_said_to_have_none(
    run: Run, recordings: Recordings, tmp_path: Path, anywhere: list[str]
) -> None:
    done = run(recordings.silence("quiet.wav", 3), *anywhere, "-o", tmp_path)
    assert done.returncode == 0
    assert "quiet.wav: no speech found" in done.stderr
    assert (tmp_path / "quiet.txt").read_text() == ""


def test_the_help_lists_the_exit_codes_and_shell_completion_works(run: Run) -> None:
    help_text = run("--help").stdout
    assert help_text.startswith("Usage: transcribe ")
    assert "130 interrupted" in help_text
    installed = Path(sys.executable).with_name("transcribe")
    completing = {**os.environ, "_TRANSCRIBE_COMPLETE": "bash_source"}
    script = subprocess.run([installed], env=completing, capture_output=True, text=True, check=True).stdout
    assert "complete -o nosort" in script


def test_speakers_are_told_apart(run: Run, tmp_path: Path, conversation: Path, anywhere: list[str]) -> None:
    talk = tmp_path / "talk.ogg"
    talk.write_bytes(conversation.read_bytes())
    done = run(talk, *anywhere, "--diarize", "-f", "srt", "-f", "rttm", "--set", "hallucinations=keep", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SPEAKER_00: " in talk.with_suffix(".srt").read_text()
    assert {line.split()[7] for line in talk.with_suffix(".rttm").read_text().splitlines()} == {
        "SPEAKER_00",
        "SPEAKER_01",
    }


def test_the_number_of_speakers_may_be_given(run: Run, conversation: Path, on_the_server: list[str]) -> None:
    done = run(
        conversation, *on_the_server, "--speakers", "1", "-f", "json", "--stdout", "--set", "hallucinations=keep"
    )
    assert len(json.loads(done.stdout)["speakers"]) == 1


def test_rttm_needs_speakers(run: Run, talk: Path, anywhere: list[str]) -> None:
    done = run(talk, *anywhere, "-f", "text", "-f", "rttm")
    assert done.returncode == 1
    assert "diarize=true" in done.stderr
