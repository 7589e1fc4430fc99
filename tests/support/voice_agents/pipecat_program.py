"""Transcribes a recording with Pipecat's OpenAI service: python pipecat_program.py ADDRESS PCM_FILE.

PCM_FILE: int16, mono, 24 kHz. Prints the frames with text as one JSON object: with turns that the client ends, and the
server.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.workers.runner import WorkerRunner

RATE = 24_000  # Hz
FRAME_BYTES = 2 * RATE // 50  # 20 ms
SILENCE = bytes(2 * RATE * 3 // 2)  # 1.5 s, in which the end of the turn is found
TIME_LIMIT = 60  # seconds


class Heard(FrameProcessor):
    """Keeps the text that reaches the end of the pipeline. done: set by the first final text."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[dict[str, str]] = []
        self.done = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Look at a frame and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterimTranscriptionFrame | TranscriptionFrame):
            is_final = isinstance(frame, TranscriptionFrame)
            self.texts.append({"type": "final" if is_final else "interim", "text": frame.text})
            if is_final:
                self.done.set()
        await self.push_frame(frame, direction)


async def transcribe(address: str, recording: Path, who: str) -> list[dict[str, str]]:
    """Send the recording. who: client or server. Returns the frames with text up to the final one."""
    service = OpenAIRealtimeSTTService(
        api_key="unused",
        base_url=f"{address.replace('http', 'ws')}/v1/realtime",
        turn_detection={"type": "server_vad"} if who == "server" else False,
    )
    heard = Heard()
    worker = PipelineWorker(Pipeline([service, heard]), params=PipelineParams(audio_in_sample_rate=RATE))
    ready = asyncio.Event()
    worker.event_handler("on_pipeline_started")(lambda *_: ready.set())

    async def speak() -> None:
        await ready.wait()
        while not service._session_ready:  # what the service does before its first audio is not for us to see
            await asyncio.sleep(0.05)
        audio = recording.read_bytes()
        if who == "client":
            await worker.queue_frame(VADUserStartedSpeakingFrame())
        for at in range(0, len(audio), FRAME_BYTES):
            await worker.queue_frame(InputAudioRawFrame(audio[at : at + FRAME_BYTES], RATE, 1))
        if who == "client":
            await worker.queue_frame(VADUserStoppedSpeakingFrame())
        else:
            await worker.queue_frame(InputAudioRawFrame(SILENCE, RATE, 1))
        await heard.done.wait()
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner()
    await runner.add_workers(worker)
    async with asyncio.timeout(TIME_LIMIT):
        await asyncio.gather(runner.run(), speak())
    return heard.texts


print(json.dumps({who: asyncio.run(transcribe(sys.argv[1], Path(sys.argv[2]), who)) for who in ("client", "server")}))
