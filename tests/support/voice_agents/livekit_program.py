"""Transcribes a recording with LiveKit's plugin for OpenAI: python livekit_program.py ADDRESS PCM_FILE MODEL ...

PCM_FILE: int16, mono, 24 kHz. Prints the events with each model as one JSON list of lists.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from livekit import rtc
from livekit.agents import stt
from livekit.agents.utils import http_context
from livekit.plugins import openai

RATE = 24_000  # Hz
FRAME_BYTES = 2 * RATE // 50  # 20 ms
SILENCE = bytes(2 * RATE * 3 // 2)  # 1.5 s, in which the end of the turn is found
TIME_LIMIT = 60  # seconds


async def transcribe(address: str, recording: Path, model: str) -> list[dict[str, str]]:
    """Send the recording and silence. Returns the events up to the final transcript."""
    audio = recording.read_bytes() + SILENCE
    async with http_context.open():
        service = openai.STT(model=model, language="en", base_url=f"{address}/v1", api_key="unused", use_realtime=True)
        async with asyncio.timeout(TIME_LIMIT), service.stream() as stream:
            for at in range(0, len(audio), FRAME_BYTES):
                piece = audio[at : at + FRAME_BYTES]
                stream.push_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
            events = []
            async for event in stream:
                text = "".join(alternative.text for alternative in event.alternatives)
                events.append({"type": event.type.value, "text": text})
                if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                    break
    return events


print(json.dumps([asyncio.run(transcribe(sys.argv[1], Path(sys.argv[2]), model)) for model in sys.argv[3:]]))
