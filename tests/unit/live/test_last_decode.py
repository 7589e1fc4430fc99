"""The last decode of an utterance is begun in the pause that ends it, in simulated time."""

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest
from prometheus_client import REGISTRY

from tests.unit.live.support import Model, all_of, live, options, play, speech
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import Superseded
from transcription.live.audio import AudioBuffer
from transcription.live.decoding import LiveDecoder
from transcription.live.drafts import Drafts, Tools
from transcription.live.events import Final, SpeechStopped
from transcription.live.language import LanguageLock
from transcription.live.options import TurnDetection
from transcription.live.outbox import Outbox
from transcription.live.pace import Pace
from transcription.live.session import LiveSession
from transcription.live.utterance import Utterance
from transcription.media.voice_activity import CHUNK_SAMPLES

PAUSE = TurnDetection(silence_ms=500)


def timed(model, samples, chosen):
    """The events with their simulated times, and the decodes that were not drafts."""

    async def listens():
        now = asyncio.get_running_loop().time
        session = LiveSession(model, chosen, "request", now)

        async def listen():
            return [(now(), event) async for event in session.events()]

        listening = asyncio.create_task(listen())
        await play(session, samples)
        await session.finish()
        events = await listening
        await session.aclose()
        return events

    events = live(listens())
    return events, [call for call in model.calls if not call[1].draft]


def when(kind, events):
    """The times of the events of a kind."""
    return [at for at, event in events if isinstance(event, kind)]


def counted(outcome):
    return REGISTRY.get_sample_value("transcription_live_early_decodes_total", {"outcome": outcome}) or 0.0


def observed(what):
    return REGISTRY.get_sample_value(f"transcription_live_real_time_factor_{what}") or 0.0


def test_the_last_decode_is_begun_in_the_pause_so_that_its_text_comes_at_its_end():
    used = counted("used")
    events, thorough = timed(Model(seconds=0.15), speech(4, silence=1.5), options(PAUSE))
    assert when(Final, events) == when(SpeechStopped, events)
    assert len(thorough) == 1
    assert counted("used") == used + 1


def test_a_last_decode_that_was_begun_in_the_pause_is_waited_for():
    events, thorough = timed(Model(seconds=0.6), speech(4, silence=1.5), options(PAUSE))
    assert 0.2 < when(Final, events)[0] - when(SpeechStopped, events)[0] < 0.5
    assert len(thorough) == 1


def test_the_real_time_factor_counts_every_decode_of_an_utterance_once():
    for silence in (0.0, 1.5):  # the last decode when the client is done, and in the pause before
        factors, utterances = observed("sum"), observed("count")
        model = Model(seconds=0.15)
        events, _ = timed(model, speech(4, silence=silence), options(PAUSE))
        (final,) = (event for _, event in events if isinstance(event, Final))
        expected = 0.15 * len(model.calls) / (final.end - final.start)
        assert observed("sum") - factors == pytest.approx(expected)
        assert observed("count") == utterances + 1


def test_when_speech_goes_on_what_was_begun_in_the_pause_is_one_more_tick():
    discarded = counted("discarded")
    samples = np.concatenate((speech(3, silence=0.35), speech(3, silence=1.5)))
    events, thorough = timed(Model(), samples, options(PAUSE))
    (final,) = (event for _, event in events if isinstance(event, Final))
    assert final.text.split() == [str(number) for number in range(6)]
    assert len(thorough) == 2
    assert counted("discarded") == discarded + 1


def test_what_was_begun_in_the_pause_is_not_the_last_decode_of_another_utterance():
    discarded, chosen = counted("discarded"), options(PAUSE)
    lock = LanguageLock(chosen.decode)
    audio = AudioBuffer()
    chunks = len(audio.append(speech(1.024))) // CHUNK_SAMPLES
    audio.add_probabilities([1.0] * chunks)

    async def follows_two():
        clock = asyncio.get_running_loop().time
        decoder = LiveDecoder(Model(), "request", "session")
        drafts = Drafts(Tools(decoder, Outbox(), Pace(), clock), lambda: None)
        drafts.follow(Utterance(0, 0, chosen, lock), audio, audio.heard, audio.heard)
        drafts.tick_if_due()
        drafts.follow(Utterance(1, SAMPLE_RATE // 2, chosen, lock), audio, audio.heard, None)
        drafts.cancel()

    live(follows_two())
    assert counted("discarded") == discarded + 1


def test_the_last_decode_has_the_same_audio_whether_or_not_it_was_begun_in_the_pause():
    """A piece of half a second or more holds the whole pause: there is no time to begin early."""
    samples = speech(4, silence=1.5)

    async def in_one_piece(model):
        session = LiveSession(model, options(PAUSE), "request", asyncio.get_running_loop().time)
        await session.feed(samples)
        await session.finish()
        return await all_of(session)

    early, whole = Model(), Model()
    timed(early, samples, options(PAUSE))
    live(in_one_piece(whole))
    windows = [next(window for window, decode, _ in model.calls if not decode.draft) for model in (early, whole)]
    assert windows[0].timeline == windows[1].timeline
    assert np.array_equal(windows[0].samples, windows[1].samples)


@dataclass
class FailingOnce(Model):
    """Fails in the first decode that is not a draft."""

    failed: bool = False

    async def transcribe(self, window, options, ticket):
        if not options.draft and not self.failed:
            self.failed = True
            raise Superseded("replaced")
        return await super().transcribe(window, options, ticket)


def test_a_last_decode_that_failed_in_the_pause_is_made_again():
    used, redone = counted("used"), counted("redone")
    events, thorough = timed(FailingOnce(), speech(4, silence=1.5), options(PAUSE))
    assert [event.text for _, event in events if isinstance(event, Final)] == ["0 1 2 3"]
    assert len(thorough) == 1
    assert (counted("used"), counted("redone")) == (used, redone + 1)


@dataclass
class Queueing(Model):
    """Is busy with others for a while. A newer window takes the place of a replaceable one that waits."""

    busy: tuple[float, float] = (2.1, 4.0)
    waiting: asyncio.Future | None = None
    thorough: int = 0

    async def transcribe(self, window, options, ticket):
        self.thorough += not options.draft
        loop = asyncio.get_running_loop()
        if self.waiting and not self.waiting.done():
            self.waiting.set_exception(Superseded("replaced"))
        if self.busy[0] <= loop.time() < self.busy[1]:
            turn = loop.create_future()
            loop.call_at(self.busy[1], lambda: turn.done() or turn.set_result(None))
            self.waiting = turn if ticket.replaceable else None
            await turn
        return await super().transcribe(window, options, ticket)


def test_a_tick_of_the_next_utterance_does_not_replace_a_last_decode_that_was_begun_in_the_pause():
    model = Queueing()
    timed(model, np.concatenate((speech(2, silence=0.6), speech(3, silence=1.5))), options(PAUSE))
    assert model.thorough == 2
