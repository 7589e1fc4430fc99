"""The number of file descriptors that this process may open: every connection takes one."""

from __future__ import annotations

import resource

MOST = 524_288  # more are of no use, and some programs walk through all of them; systemd's default hard limit
RESERVE = 256  # for files, the database, decoders and the runner


def raise_descriptor_limit() -> int:
    """Raise the soft limit of this process, and of those that it starts, to the hard one. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST if soft == resource.RLIM_INFINITY else soft


def connections_within(descriptors: int) -> int:
    """The number of connections that leave enough descriptors for the rest of the service."""
    return max(descriptors // 2, descriptors - RESERVE)
