"""The options of the command, in groups, and the parameters of POST /transcribe that they stand for.

Their names are those of openai/whisper's command where it has the same option. Every name may be written with dashes or
underscores, and every switch as whisper's, with True or False behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import get_completion_class
from click_option_group import optgroup

from transcription.cli.other_commands import adapted
from transcription.cli.recordings import as_text
from transcription.cli.values import DeviceType, FormatType, LanguageType, ModelType
from transcription.core.options import Channel, Task
from transcription.core.speakers import MAX_SPEAKERS

DEFAULT_TIMEOUT = 3600.0  # seconds
COMPUTE_TYPES = ("auto", "int8", "int8_float16", "float16", "float32")  # of the setting WHISPER_COMPUTE_TYPE
MAX_THREADS = 512
LEAST_RATE, MOST_RATE = 8_000, 48_000  # Hz; of live audio. Not imported: the module that has them loads ffmpeg.
# Options with the name of the parameter.
SAME_NAME = (
    *("language", "model", "task", "initial_prompt", "hotwords", "audio_track", "channel", "num_speakers", "diarize"),
    *("beam_size", "best_of", "temperature", "vad_filter"),
    *("max_line_width", "max_line_count", "max_words_per_line", "highlight_words"),
)
SPEAKERS = frozenset({"num_speakers", "min_speakers", "max_speakers"})
NOT_TO_BE_SET = frozenset({"async", "response_format", "callback_url", "file", "url"})
SWITCH_VALUES = {"true": True, "false": False}
NOTES = "notes"  # of the context: what the user is to know about the command line

Command = TypeVar("Command", bound=Callable[..., Any])


class Whisperlike(click.Command):
    """A command that takes its options as whisper's does, --word_timestamps True, and those of other commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, switches with a value among them. Raises click.UsageError."""
        if not ctx.resilient_parsing:  # as while a shell completes a line
            ours = adapted(args)
            ctx.meta[NOTES], args = ours.notes, ours.arguments
        return super().parse_args(ctx, self._with_plain_switches(args))

    def _with_plain_switches(self, args: Sequence[str]) -> list[str]:
        switches = {
            _dashed(name): (_dashed(name), _dashed(option.secondary_opts[0]))
            for option in self.params
            if isinstance(option, click.Option) and option.is_flag and option.secondary_opts
            for name in option.opts
        }
        plain: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if word == "--":
                return [*plain, word, *rest]
            name, equals, value = word.partition("=")
            on_and_off = switches.get(_dashed(name)) if word.startswith("-") else None
            if on_and_off is None:
                plain.append(word)
                continue
            if not equals and rest and rest[0].lower() in SWITCH_VALUES:
                equals, value = "=", rest.pop(0)
            if equals and value.lower() not in SWITCH_VALUES:
                raise click.UsageError(f"{name} takes True or False, not '{value}'.")
            plain.append(on_and_off[0] if SWITCH_VALUES[value.lower() or "true"] else on_and_off[1])
        return plain


def parameters_of(choices: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of POST /transcribe. choices: values of options by name, None where not given.

    Raises click.UsageError.
    """
    given = {name: choices[name] for name in SAME_NAME if choices[name] is not None}
    if given.get("highlight_words") is False:
        del given["highlight_words"]  # whisper's default; any parameter of the layout needs a format with subtitles
    if choices["word_timestamps"]:
        given["timestamp_granularity"] = "word"
    for other in choices["others"]:
        name, equals, value = str(other).partition("=")
        if not equals or name in NOT_TO_BE_SET:
            raise click.UsageError(f"--set takes NAME=VALUE with a parameter of POST /transcribe, not '{other}'.")
        given[name] = value
    if SPEAKERS & given.keys():
        given.setdefault("diarize", True)
    return {name: as_text(_plain(value)) for name, value in given.items()}


def with_options(command: Command) -> Command:
    """The command with all options, in the order of the list."""
    for add in reversed(OPTIONS):
        command = add(command)
    return command


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print_completion(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is None or ctx.resilient_parsing:
        return
    completion = get_completion_class(shell)
    assert completion is not None  # click has all of the choices
    name = ctx.info_name or "transcribe"
    variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
    click.echo(completion(ctx.command, {}, name, variable).source())
    ctx.exit()


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    optgroup.group("Results"),
    optgroup.option(
        "-f",
        "--format",
        "--output-format",
        "formats",
        multiple=True,
        default=["text"],
        type=FormatType(),
        metavar="NAME",
        help="text (or txt), srt, vtt, tsv, lrc, json, verbose_json, rttm, or all. May be given several times.",
        show_default=True,
    ),
    optgroup.option(
        "-o",
        "-d",
        "--output-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Write results here instead of next to the recording.",
    ),
    optgroup.option("--stdout", is_flag=True, help="Print the finished result instead of writing a file."),
    optgroup.option("--overwrite", is_flag=True, help="Replace existing files."),
    optgroup.option(
        "--verbose/--no-verbose", default=True, help="Print the text as it is decoded.  [default: verbose]"
    ),
    optgroup.option("-q", "--quiet", is_flag=True, help="Print errors only."),
    optgroup.group("Model"),
    optgroup.option(
        "-m",
        "--model",
        type=ModelType(),
        metavar="NAME",
        help="Model; by default that of the server, or WHISPER_MODEL. --list-models lists them.",
    ),
    optgroup.option("--beam-size", type=click.IntRange(min=1), metavar="N", help="Beams of the search; 5 by default."),
    optgroup.option(
        "--best-of", type=click.IntRange(min=1), metavar="N", help="Samples at a temperature above 0; 5 by default."
    ),
    optgroup.option("--temperature", type=click.FloatRange(0, 1), metavar="T", help="First temperature; 0 by default."),
    optgroup.option(
        "--device", type=DeviceType(), metavar="NAME", help="auto, cpu, cuda or cuda:0; without a server only."
    ),
    optgroup.option(
        "--compute-type",
        type=click.Choice(COMPUTE_TYPES, case_sensitive=False),
        help="Number format of the weights; without a server only.",
    ),
    optgroup.option(
        "--threads",
        type=click.IntRange(0, MAX_THREADS),
        metavar="N",
        help="Threads of the model on a CPU, 0 for the usual number; without a server only.",
    ),
    optgroup.option(
        "--model-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder with one sub-folder per model; without a server only.",
    ),
    optgroup.group("Speech"),
    optgroup.option(
        "-l",
        "--language",
        type=LanguageType(),
        metavar="NAME",
        help="Language of the speech: a code, an English name or a tag such as en-US; detected by default. zh-Hans and "
        "zh-Hant also set the script.",
    ),
    optgroup.option("--task", type=click.Choice([each.value for each in Task]), help="translate gives English text."),
    optgroup.option(
        "--initial-prompt",
        "--prompt",
        "initial_prompt",
        metavar="TEXT",
        help="Text that sets the style and the spelling of names.",
    ),
    optgroup.option("--hotwords", metavar="TEXT", help="Words to expect."),
    optgroup.option(
        "--vad-filter/--no-vad-filter",
        " /--no-vad",
        default=None,
        help="Skip parts without speech, or transcribe all of the audio.  [default: vad-filter]",
    ),
    optgroup.option("--audio-track", type=click.IntRange(min=1), metavar="N", help="The audio track, from 1."),
    optgroup.option(
        "--channel", type=click.Choice([each.value for each in Channel]), help="Channel of a stereo recording."
    ),
    optgroup.option("--diarize/--no-diarize", default=None, help="Tell the speakers apart."),
    optgroup.option(
        "--num-speakers",
        "--speakers",
        "num_speakers",
        type=click.IntRange(min=1, max=MAX_SPEAKERS),
        metavar="N",
        help="Number of speakers, if known; implies --diarize.",
    ),
    optgroup.group("Subtitles and words"),
    optgroup.option(
        "--word-timestamps/--no-word-timestamps",
        "--words/--no-words",
        default=False,
        help="Include word times in json and verbose_json.",
    ),
    optgroup.option("--highlight-words/--no-highlight-words", default=None, help="Underline words as they are spoken."),
    optgroup.option("--max-line-width", type=click.IntRange(min=1), metavar="N", help="Characters per line."),
    optgroup.option("--max-line-count", type=click.IntRange(min=1), metavar="N", help="Lines per cue."),
    optgroup.option("--max-words-per-line", type=click.IntRange(min=1), metavar="N", help="Words per line."),
    optgroup.option(
        "--set",
        "others",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any other parameter of POST /transcribe, such as min_gap=0.083. May be given several times.",
    ),
    optgroup.group("Server"),
    optgroup.option(
        "-s",
        "--server",
        envvar="TRANSCRIBE_SERVER",
        metavar="URL",
        help="Address of the server, such as localhost:3000. Without it, the model runs on this machine.  "
        "[env: TRANSCRIBE_SERVER]",
    ),
    optgroup.option(
        "--api-key",
        envvar="TRANSCRIBE_API_KEY",
        metavar="KEY",
        help="API key of the server. Better set TRANSCRIBE_API_KEY: command lines are visible to others.",
    ),
    optgroup.option(
        "--timeout",
        default=DEFAULT_TIMEOUT,
        show_default=True,
        type=click.FloatRange(min=1),
        metavar="SECONDS",
        help="Seconds that a server may take per recording.",
    ),
    optgroup.group("transcribe watch FOLDER"),
    optgroup.option("--once", is_flag=True, help="Transcribe what is in the folder, and end."),
    optgroup.option(
        "--settle",
        default=3.0,
        show_default=True,
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="A file that did not change for so long is complete.",
    ),
    optgroup.group("transcribe live"),
    optgroup.option(
        "--microphone",
        is_flag=False,
        flag_value="default",
        metavar="[DEVICE]",
        help="Listen to a microphone, through ffmpeg; to the default one without a name.",
    ),
    optgroup.option(
        "--sample-rate",
        type=click.IntRange(LEAST_RATE, MOST_RATE),
        metavar="HZ",
        help="Of raw PCM on standard input: 16 bits, little-endian, mono.  [default: 16000]",
    ),
    optgroup.option("--live", is_flag=True, help="The same as `transcribe live`."),
    optgroup.group("Information"),
    optgroup.option("--list-models", is_flag=True, help="List the models, those of the server with --server."),
    optgroup.option(
        "--completion",
        type=click.Choice(["bash", "zsh", "fish"]),
        is_eager=True,
        expose_value=False,
        callback=_print_completion,
        help='Print the completion script of a shell: eval "$(transcribe --completion bash)".',
    ),
)
