"""A decoder reads one file and nothing else: no network, no other process, no change to anything.

These tests ask real processes, in the sandbox of the kernel that they run on.
"""

import asyncio
import errno
import socket
import struct
import sys

import pytest

from tests.support.commands import RESOURCES, run
from tests.support.media_files import SPOKEN, noise, write_wav
from transcription.core.settings import Settings
from transcription.media.decode import find_ffmpeg
from transcription.media.sandbox import landlock, sandbox, seccomp
from transcription.media.sandbox.launcher_protocol import FILE_PATH
from transcription.media.sandbox.process import confined

SUPPORT = sandbox.available()
needs_seccomp = pytest.mark.skipif(not SUPPORT.seccomp, reason="this kernel takes no seccomp filters")
needs_landlock = pytest.mark.skipif(not SUPPORT.landlock, reason="this kernel has no Landlock")

# Runs in a process that has entered the sandbox as an inspector does; prints the errno of what it tries.
ATTEMPT = """
import os, resource, signal, socket, sys, threading
from pathlib import Path
from transcription.media.sandbox import sandbox
file, other, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
def attempt(what):
    try:
        what()
    except OSError as error:
        return error.errno
    return 0
sandbox.enter(sandbox.Support(seccomp=SECCOMP, landlock=LANDLOCK), file, None)
print(attempt(lambda: WHAT))
"""


@pytest.fixture
def tried(tmp_path):
    """errno of the error that an expression raises in a sandbox with this support; 0 if it succeeds."""

    def attempt(what, *, support=SUPPORT, port=0):
        (tmp_path / "upload").write_bytes(b"upload")
        (tmp_path / "secret").write_bytes(b"secret")
        code = ATTEMPT.replace("SECCOMP", str(support.seccomp)).replace("LANDLOCK", str(support.landlock))
        code = code.replace("WHAT", what)
        arguments = (str(tmp_path / "upload"), str(tmp_path / "secret"), str(port))
        exit_code, said, complaints = run(sys.executable, "-c", code, *arguments)
        assert exit_code == 0, complaints
        return int(said)

    return attempt


ONLY_SECCOMP = sandbox.Support(seccomp=True, landlock=0)
ONLY_LANDLOCK = sandbox.Support(seccomp=False, landlock=SUPPORT.landlock)


@needs_seccomp
@pytest.mark.parametrize(
    "what",
    [
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socketpair()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.kill(-1, 0)",
        "os.memfd_create('x')",
        "os.setpriority(os.PRIO_PROCESS, 0, 19)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CORE)",
        "file.open('ab')",
        "file.with_name('new').touch()",
        "file.unlink()",
        "file.rename(file.with_name('new'))",
        "file.chmod(0o777)",
        "os.utime(file)",
        "file.with_name('new').mkdir()",
        "file.with_name('new').symlink_to(file)",
        "os.truncate(file, 0)",
        "os.chroot('/')",
    ],
)
def test_the_filter_denies_calls_that_no_decoder_needs(tried, what):
    assert tried(what, support=ONLY_SECCOMP) == errno.EPERM


@needs_seccomp
@pytest.mark.parametrize(
    "what",
    [
        "file.read_bytes()",
        "threading.Thread(target=print).run()",
        "os.kill(os.getpid(), 0)",
        "resource.getrlimit(resource.RLIMIT_CORE)",
        "bytearray(1 << 24)",
    ],
)
def test_the_filter_allows_calls_that_a_decoder_needs(tried, what):
    assert tried(what) == 0


@needs_seccomp
def test_the_filter_allows_threads(tried):
    assert tried("[thread := threading.Thread(target=int), thread.start(), thread.join()]") == 0


@needs_landlock
def test_only_the_upload_can_be_read(tried):
    assert tried("file.read_bytes()", support=ONLY_LANDLOCK) == 0
    assert tried("other.read_bytes()", support=ONLY_LANDLOCK) == errno.EACCES
    assert tried("Path('/etc/passwd').read_bytes()", support=ONLY_LANDLOCK) == errno.EACCES
    assert tried("Path('/proc/self/environ').read_bytes()", support=ONLY_LANDLOCK) == errno.EACCES
    assert tried("list(file.parent.iterdir())", support=ONLY_LANDLOCK) == errno.EACCES


@needs_landlock
@pytest.mark.parametrize("what", ["file.open('ab')", "file.with_name('new').touch()", "file.unlink()"])
def test_landlock_alone_prevents_changes_to_files(tried, what):
    assert tried(what, support=ONLY_LANDLOCK) == errno.EACCES


@needs_landlock
@pytest.mark.skipif(SUPPORT.landlock < landlock.TCP_VERSION, reason="this kernel's Landlock knows no network")
def test_landlock_alone_prevents_connections(tried):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert tried("socket.create_connection(('127.0.0.1', port))", support=ONLY_LANDLOCK, port=port) == errno.EACCES


@needs_landlock
def test_ffmpeg_can_read_the_upload_and_not_the_file_next_to_it(tmp_path):
    """As an attacker who controls ffmpeg would have it do."""
    secret = write_wav(tmp_path / "secret.wav", noise(1))
    ffmpeg = str(find_ffmpeg(Settings()))

    async def convert(source):
        """The upload itself is a descriptor of the process."""
        command = [ffmpeg, "-v", "error", "-i", str(source), "-f", "s16le", "pipe:1"]
        with SPOKEN.open("rb") as file:
            async with confined(command, RESOURCES, file.fileno()) as process:
                said, complaints = await asyncio.gather(process.stdout.read(), process.stderr.read())
            return len(said), complaints.decode()

    length, complaints = asyncio.run(convert(FILE_PATH))
    assert length > 10_000, complaints
    length, complaints = asyncio.run(convert(secret))
    assert length == 0
    assert "Permission denied" in complaints


@needs_landlock
def test_a_sandbox_that_cannot_be_entered_stops_the_process(tmp_path):
    code = ATTEMPT.replace("SECCOMP", "False").replace("LANDLOCK", "1").replace("WHAT", "None")
    code = code.replace("sandbox.enter(", "os.close = None; sandbox.enter(")  # any failure on the way
    exit_code, said, _ = run(sys.executable, "-c", code, str(SPOKEN), str(SPOKEN), "0")
    assert (exit_code, said) == (1, "")


def test_on_a_kernel_without_support_the_process_continues(tried):
    assert tried("other.read_bytes()", support=sandbox.Support(seccomp=False, landlock=0)) == 0


@pytest.mark.parametrize("machine", seccomp.MACHINES.values())
@pytest.mark.parametrize("execute", [True, False])
def test_every_jump_stays_inside_the_filter_which_ends_by_allowing(machine, execute):
    program = seccomp.assemble(machine, 1234, execute=execute)
    steps = [struct.unpack("=HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]
    assert steps[-1] == (seccomp.RETURN, 0, 0, seccomp.RET_ALLOW)
    assert all(at + 1 + max(true, false) < len(steps) for at, (_, true, false, _) in enumerate(steps[:-1]))
    assert len(steps) <= 4096  # BPF_MAXINSNS


def test_the_filters_of_programs_and_of_the_inspector_differ_in_execve_only():
    for machine in seccomp.MACHINES.values():
        assert len(seccomp.assemble(machine, 1, execute=False)) - len(seccomp.assemble(machine, 1, execute=True)) == 16
