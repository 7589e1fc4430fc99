"""Any command in a confined process, to see what such a process can do."""

from __future__ import annotations

import asyncio

from transcription.media.sandbox.process import confined, limits

RESOURCES = limits(memory=1 << 30, cpu_seconds=5)


async def finished(*command: str, resources: dict[str, int] = RESOURCES) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    async with confined(command, resources) as process:
        said, complaints = await asyncio.gather(process.stdout.read(), process.stderr.read())
        return (await process.wait()).code, said.decode(), complaints.decode()


def run(*command: str, resources: dict[str, int] = RESOURCES) -> tuple[int, str, str]:
    """`finished`, in an event loop of its own."""
    return asyncio.run(finished(*command, resources=resources))
