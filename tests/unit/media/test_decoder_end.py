"""Why a decoder ended, from its exit code, its CPU time and its messages."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.errors import DecoderFailedOnce, ServiceUnavailable
from transcription.media.decoder_end import Cause, Message, cause_of, error_of, messages_in
from transcription.media.sandbox.launcher_protocol import NOT_STARTED, End

CPU_LIMIT = 600.0
FOREIGN = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGUSR1)


def error(text):
    return Message("error", text)


@pytest.mark.parametrize("number", FOREIGN)
def test_a_signal_of_others_stops_a_decoder(number):
    assert cause_of(End(-number, 3.0), (), CPU_LIMIT) is Cause.STOPPED


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS])
def test_a_signal_of_its_own_is_a_crash(number):
    assert cause_of(End(-number, 3.0), (), CPU_LIMIT) is Cause.CRASH


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGXCPU, 255])
def test_any_signal_at_the_limit_of_cpu_time_is_the_limit(code):
    assert cause_of(End(code, CPU_LIMIT - 0.1), (), CPU_LIMIT) is Cause.CPU


def test_a_decoder_that_reached_the_end_just_before_the_limit_is_at_the_end():
    assert cause_of(End(0, CPU_LIMIT - 0.1), (), CPU_LIMIT) is Cause.FILE


@pytest.mark.parametrize("code", [255, 123, 224, 228, 127, NOT_STARTED])
def test_exit_codes_that_mean_that_it_was_stopped_or_not_started(code):
    assert cause_of(End(code), (), CPU_LIMIT) is Cause.STOPPED


def test_a_file_that_may_not_be_opened_has_the_exit_code_of_a_signal():
    assert cause_of(End(255), (error("Error opening input: Operation not permitted"),), CPU_LIMIT) is Cause.FILE


@pytest.mark.parametrize(
    ("end", "messages"),
    [
        (End(244), ()),
        (End(245), (error("pthread_create() failed: Resource temporarily unavailable"),)),
        (End(1), (error("Error while decoding: Cannot allocate memory"),)),
        (End(-signal.SIGABRT), (error("terminate called after throwing an instance of 'std::bad_alloc'"),)),
    ],
)
def test_a_failed_allocation_is_the_limit_of_memory(end, messages):
    assert cause_of(end, messages, CPU_LIMIT) is Cause.MEMORY


@pytest.mark.parametrize("code", [0, 1, 183, 187, 251])
def test_other_codes_are_about_the_file(code):
    messages = (error("Invalid data found when processing input"),)
    assert cause_of(End(code), messages, CPU_LIMIT) is Cause.FILE


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (Cause.STOPPED, ServiceUnavailable),
        (Cause.CPU, DecoderFailedOnce),
        (Cause.MEMORY, DecoderFailedOnce),
        (Cause.CRASH, DecoderFailedOnce),
    ],
)
def test_every_cause_but_the_file_can_be_retried(settings, cause, kind):
    raised = error_of(cause, End(-9, 1.0), settings, CPU_LIMIT)
    assert type(raised) is kind
    assert raised.message.endswith("Try again.")
    assert raised.detail == "ended by SIGKILL after 1.0 s of CPU time"


def test_the_end_of_the_file_is_no_error(settings):
    assert error_of(Cause.FILE, End(0), settings, CPU_LIMIT) is None


def test_messages_have_their_level_and_no_path():
    output = (
        b"[in#0/mov @ 0x5] [warning] Packet corrupt (stream = 1, dts = 2).\n"
        b"[aist#0:1/aac @ 0x5] [dec:aac @ 0x6] [error] /tmp/x: no good\n"
        b"[fatal] the end\nfree text\n"
    )
    assert messages_in(output, "/tmp/x") == (
        Message("warning", "Packet corrupt (stream = 1, dts = 2)."),
        Message("error", "the file: no good"),
        Message("fatal", "the end"),
        Message("error", "free text"),
    )


@given(st.integers(-64, 255), st.binary(max_size=200))
def test_any_end_has_a_cause(code, output):
    assert cause_of(End(code), messages_in(output), CPU_LIMIT) in Cause
