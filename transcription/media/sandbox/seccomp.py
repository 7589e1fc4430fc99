"""A seccomp filter, in classic BPF, that denies the system calls that no decoder needs.

See linux/seccomp.h and linux/filter.h. A filter needs no root, cannot be removed, and is inherited on execution.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
RET_KILL_PROCESS, RET_ERRNO, RET_ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
LOAD, AND, RETURN = 0x20, 0x54, 0x06  # a word of seccomp_data; with a constant; from the filter
JUMP_EQUAL, JUMP_AT_LEAST = 0x15, 0x35
NUMBER_OFFSET, ARCH_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16  # in struct seccomp_data, bytes
X32_BIT = 0x4000_0000  # the second ABI of x86_64, with numbers of its own
CLONE_THREAD = 0x1_0000
ANY_BIT = 0xFFFF_FFFF

# Name, number on x86_64, number on aarch64; - if there is no such call. By group: network, processes, memory and
# signals of other processes, mounts, keys, kernel interfaces, objects that outlive the process, changes to files.
_DENIED = """
socket 41 198 socketpair 53 199 bind 49 200 listen 50 201 accept 43 202 accept4 288 242 connect 42 203
sendto 44 206 sendmsg 46 211 sendmmsg 307 269
fork 57 - vfork 58 - execveat 322 281
ptrace 101 117 process_vm_readv 310 270 process_vm_writev 311 271 process_madvise 440 440
pidfd_open 434 434 pidfd_getfd 438 438 pidfd_send_signal 424 424 rt_sigqueueinfo 129 138 rt_tgsigqueueinfo 297 240
mount 165 40 umount2 166 39 pivot_root 155 41 chroot 161 51 setns 308 268 unshare 272 97
move_mount 429 429 open_tree 428 428 fsopen 430 430 fsconfig 431 431 fsmount 432 432 fspick 433 433
mount_setattr 442 442 name_to_handle_at 303 264 open_by_handle_at 304 265
add_key 248 217 request_key 249 218 keyctl 250 219
bpf 321 280 perf_event_open 298 241 userfaultfd 323 282 personality 135 92
io_uring_setup 425 425 io_uring_enter 426 426 io_uring_register 427 427
init_module 175 105 finit_module 313 273 delete_module 176 106 kexec_load 246 104 kexec_file_load 320 294
reboot 169 142 swapon 167 224 acct 163 89 setpriority 141 140
memfd_create 319 279 shmget 29 194 msgget 68 186 semget 64 190 mq_open 240 180
creat 85 - truncate 76 45 mknod 133 - mknodat 259 33
unlink 87 - unlinkat 263 35 rmdir 84 - mkdir 83 - mkdirat 258 34
rename 82 - renameat 264 38 renameat2 316 276
link 86 - linkat 265 37 symlink 88 - symlinkat 266 36
chmod 90 - fchmod 91 52 fchmodat 268 53 fchmodat2 452 452 chown 92 - fchown 93 55 lchown 94 - fchownat 260 54
utime 132 - utimes 235 - futimesat 261 - utimensat 280 88
setxattr 188 5 lsetxattr 189 6 fsetxattr 190 7 removexattr 197 14 lremovexattr 198 15 fremovexattr 199 16
"""
# Reported as missing, so that the C library uses calls whose flags a filter can read; these pass them by pointer.
_UNKNOWN = "clone3 435 435 openat2 437 437"
_INSPECTED = "open 2 - openat 257 56 clone 56 220 kill 62 129 tkill 200 130 tgkill 234 131 prlimit64 302 261"
_EXECVE = "execve 59 221"

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor. audit_arch: its constant in linux/audit.h. column: of its numbers in the tables above."""

    audit_arch: int
    column: int


MACHINES = {"x86_64": Machine(0xC000_003E, 1), "aarch64": Machine(0xC000_00B7, 2)}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition under which a call stays allowed: argument & mask == value, in the low 32 bits only."""

    argument: int
    mask: int
    value: int


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def is_available() -> bool:
    """Whether this kernel supports filters, and the tables cover this processor."""
    if platform.machine() not in MACHINES:
        return False
    _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0, 0, 0)  # without a filter, so nothing is installed
    return ctypes.get_errno() == errno.EFAULT


def deny(*, execute: bool) -> None:
    """Irrevocably install the filter in this process. execute: whether execve stays allowed.

    Denied calls fail with EPERM. Threads can be started, processes cannot. Files can be opened for reading only.
    Signals and resource limits can be set for this process only. Calls of another architecture kill the process.
    Raises OSError.
    """
    program = assemble(MACHINES[platform.machine()], os.getpid(), execute=execute)
    filled = _Program(len(program) // 8, program)
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filled), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"no seccomp filter: {os.strerror(code)}")


def assemble(machine: Machine, pid: int, *, execute: bool) -> bytes:
    """The filter for process `pid`, as instructions of eight bytes each."""
    writes = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
    conditions = {
        "open": Condition(1, writes, 0),
        "openat": Condition(2, writes, 0),
        "clone": Condition(0, CLONE_THREAD, CLONE_THREAD),
        "kill": Condition(0, ANY_BIT, pid),
        "tkill": Condition(0, ANY_BIT, pid),
        "tgkill": Condition(0, ANY_BIT, pid),
        "prlimit64": Condition(0, ANY_BIT, 0),
    }
    program = [
        _instruction(LOAD, ARCH_OFFSET),
        _instruction(JUMP_EQUAL, machine.audit_arch, 1, 0),
        _instruction(RETURN, RET_KILL_PROCESS),
        _instruction(LOAD, NUMBER_OFFSET),
    ]
    if machine.column == 1:
        program += [_instruction(JUMP_AT_LEAST, X32_BIT, 0, 1), _refusal(errno.EPERM)]
    for name, number in _numbers(_INSPECTED, machine).items():
        program += _allowed_under(conditions[name], number)
    for number in _numbers(_UNKNOWN, machine).values():
        program += [_instruction(JUMP_EQUAL, number, 0, 1), _refusal(errno.ENOSYS)]
    denied = _DENIED if execute else _DENIED + _EXECVE
    for number in _numbers(denied, machine).values():
        program += [_instruction(JUMP_EQUAL, number, 0, 1), _refusal(errno.EPERM)]
    program.append(_instruction(RETURN, RET_ALLOW))
    return b"".join(program)


def _allowed_under(condition: Condition, number: int) -> list[bytes]:
    return [
        _instruction(JUMP_EQUAL, number, 0, 5),
        _instruction(
            LOAD, ARGUMENTS_OFFSET + 8 * condition.argument
        ),  # its low half: both processors are little-endian
        _instruction(AND, condition.mask),
        _instruction(JUMP_EQUAL, condition.value, 0, 1),
        _instruction(RETURN, RET_ALLOW),
        _refusal(errno.EPERM),
    ]


def _instruction(code: int, constant: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, constant)


def _refusal(code: int) -> bytes:
    return _instruction(RETURN, RET_ERRNO | code)


def _numbers(table: str, machine: Machine) -> dict[str, int]:
    words = table.split()
    rows = zip(words[::3], words[machine.column :: 3], strict=True)
    return {name: int(number) for name, number in rows if number != "-"}
