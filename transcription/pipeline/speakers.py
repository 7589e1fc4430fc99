"""Says who speaks each word of a transcript, and cuts its segments where the speaker changes.

A word belongs to the person whose turns cover most of it; outside all turns, to the nearest one within
NEAREST_SECONDS; farther away, to the speaker of the word before. Of several who cover it equally, because they speak at
the same time, the one who was speaking goes on.

Word times and turns are not exact. Taken word by word, a turn that ends late cuts the first word off the next sentence,
and one that flickers makes an island of a word inside another sentence. A cut inside a segment must therefore be
worth it: a run of words goes to its neighbour in the segment if that neighbour covers it almost as well, by less than
BORDER_SECONDS in all. A short answer that only one person's turn covers remains.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np

from transcription.core.errors import InvalidParameter
from transcription.core.speakers import LABEL_PREFIX, LETTERS, Speaker, Turn
from transcription.core.transcript import Concern, Segment, Transcript, Word
from transcription.pipeline.presence import Presence, Times, presences, together

MAX_NAME_CHARACTERS = 100
# An edge of a word and one of a turn are each 0.1 s off, sometimes more; a short answer such as "yes" takes 0.3 s. In
# three conversations with a wrong turn of 0.1 to 0.35 s put into each turn, this value leaves 0.3 % of the words wrong
# instead of 3 %, and 11 % more segments than before instead of 66 %. With exact turns it makes no word wrong.
BORDER_SECONDS = 0.25
NEAREST_SECONDS = 1.0  # a voice that the model missed is next to the rest of its turn, not in another part of the file
OVERLAP_SHARE = 0.2  # of a segment, from which on words of the other person may be missing in it
MIN_UNIT_SECONDS = 0.02  # the resolution of Whisper's times: the aligner gives some words no duration
ROUNDING = 1e-6  # seconds; sums of floats differ by this much, speech does not
# Categories of characters that no name has: controls, halves of surrogate pairs, separators of lines and paragraphs.
NOT_IN_NAMES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Bidirectional classes of controls that would reorder the text after a name, too.
REORDERING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})

Run = tuple[int, int, int]  # units from, to (exclusive), and the index of their speaker


def labels_of(turns: Iterable[Turn], prefix: str = LABEL_PREFIX) -> dict[int, str]:
    """A label for each speaker of the turns: SPEAKER_00, SPEAKER_01, ... in the order in which they first speak.

    prefix: see `SpeakerOptions.labels`; with LETTERS the labels are those of OpenAI's API: A, B, ... Z, AA, AB, ...
    Raises InvalidParameter if the prefix cannot begin a name.
    """
    order = dict.fromkeys(turn.speaker for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)))
    return {speaker: checked_name(label_of(number, prefix)) for number, speaker in enumerate(order)}


def label_of(number: int, prefix: str) -> str:
    """The label of the speaker who is this one, from 0, to speak first. prefix: see `SpeakerOptions.labels`."""
    return _letters(number) if prefix == LETTERS else f"{prefix}{number:02d}"


def _letters(number: int) -> str:
    rest, last = divmod(number, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("A") + last)


def speakers_of(turns: Iterable[Turn], labels: Mapping[int, str]) -> tuple[Speaker, ...]:
    """The speakers in the order in which they first speak, with their seconds of speech.

    labels: of each speaker's number. Numbers with the same label are one person.
    """
    seconds = {label: presence.seconds for label, presence in presences(turns, labels).items()}
    total = sum(seconds.values())
    return tuple(Speaker(label, spoken, spoken / total) for label, spoken in seconds.items())


def with_speakers(transcript: Transcript, turns: Sequence[Turn], labels: Mapping[int, str]) -> Transcript:
    """The transcript with its speakers: segments as `assign` cuts them, and warnings that follow their segments."""
    pieces = _pieces(transcript.segments, turns, labels)
    segments = tuple(chain.from_iterable(pieces))
    places = iter(range(len(segments)))
    new_places = [[next(places) for _ in group] for group in pieces]
    return replace(
        transcript,
        segments=segments,
        warnings=tuple(follow(transcript.warnings, new_places, segments)),
        speakers=speakers_of(turns, labels),
    )


def assign(segments: Sequence[Segment], turns: Sequence[Turn], labels: Mapping[int, str]) -> list[Segment]:
    """The segments with a speaker each, cut where the speaker changes. Without turns, unchanged.

    segments: with the times of their words. One without is not cut, and neither is one whose words differ from its
    text. The texts of all segments still join to the same text. labels: of each speaker's number.
    """
    return list(chain.from_iterable(_pieces(segments, turns, labels)))


def follow(concerns: Iterable[Concern], places: Sequence[Sequence[int]], segments: Sequence[Segment]) -> list[Concern]:
    """The concerns after segments were cut or moved: one for each piece of a segment that was marked.

    places: of the pieces of each former segment in `segments`.
    """
    followed: list[Concern] = []
    for concern in concerns:
        if concern.segment is None:
            followed.append(concern)
            continue
        for place in places[concern.segment]:
            piece = segments[place]
            followed.append(replace(concern, segment=place, start=piece.start, end=piece.end, text=piece.text))
    return followed


def _pieces(segments: Sequence[Segment], turns: Sequence[Turn], labels: Mapping[int, str]) -> list[list[Segment]]:
    """The pieces of each segment."""
    people = presences(turns, labels)
    if not people:
        return [[segment] for segment in segments]
    names = list(people)
    units = [_units(segment) for segment in segments]
    speakers, evidence = _heard([unit for group in units for unit in group], list(people.values()))
    pieces, place = [], 0
    for segment, group in zip(segments, units, strict=True):
        end = place + len(group)
        runs = _worth_cutting(speakers[place:end], evidence[place:end])
        parts = cut(segment, [begin for begin, _, _ in runs[1:]])
        pieces.append([spoken_by(part, names[who]) for part, (_, _, who) in zip(parts, runs, strict=True)])
        place = end
    marked = iter(with_overlap(list(chain.from_iterable(pieces)), together(people.values())))
    return [[next(marked) for _ in group] for group in pieces]


def _units(segment: Segment) -> Sequence[Word | Segment]:
    """What has one speaker: the words, or the whole segment where it cannot be cut between them."""
    return segment.words if can_be_cut(segment) else (segment,)


def _heard(units: Sequence[Word | Segment], people: Sequence[Presence]) -> tuple[list[int], Times]:
    """The speaker of each unit, as an index of `people`, and the seconds of it that each of them speaks.

    The seconds have the shape (units, people). Of a unit outside all turns, all are the nearest one's.
    """
    starts, ends = np.array([(unit.start, unit.end) for unit in units]).reshape(-1, 2).T
    ends = np.maximum(ends, starts + MIN_UNIT_SECONDS)
    covered = np.stack([person.within(starts, ends) for person in people], axis=1)
    near = -np.stack([person.distance(starts, ends) for person in people], axis=1)
    speakers: list[int] = []
    for number in range(len(units)):
        is_covered = covered[number].max() > ROUNDING
        is_near = near[number].max() >= -NEAREST_SECONDS
        if speakers and not is_covered and not is_near:
            speakers.append(speakers[-1])
            continue
        scores = covered[number] if is_covered else near[number]
        best = np.flatnonzero(scores >= scores.max() - ROUNDING)
        speakers.append(speakers[-1] if speakers and speakers[-1] in best else int(best[0]))
        if not is_covered:
            covered[number, speakers[-1]] = ends[number] - starts[number]
    return speakers, covered


def _worth_cutting(speakers: Sequence[int], evidence: Times) -> list[Run]:
    """The runs of one speaker in a segment, without those that a neighbour covers almost as well.

    speakers: of the segment's units. evidence: as of `_heard`.
    """
    runs = _runs(speakers)
    while len(runs) > 1:
        loss, place, neighbour = min(
            (float((evidence[begin:end, who] - evidence[begin:end, other]).sum()), place, other)
            for place, (begin, end, who) in enumerate(runs)
            for _, _, other in (*runs[max(0, place - 1) : place], *runs[place + 1 : place + 2])
        )
        if loss >= BORDER_SECONDS - ROUNDING:
            break
        runs[place] = (*runs[place][:2], neighbour)
        runs = _runs([who for begin, end, who in runs for _ in range(begin, end)])
    return runs


def _runs(speakers: Sequence[int]) -> list[Run]:
    borders = [0, *(place for place, (a, b) in enumerate(pairwise(speakers), start=1) if a != b), len(speakers)]
    return [(begin, end, speakers[begin]) for begin, end in pairwise(borders)]


def can_be_cut(segment: Segment) -> bool:
    """Whether the segment has words and its text is that of its words, apart from spaces."""
    return bool(segment.words) and _solid(segment.text) == _solid(*_texts(segment.words))


def cut(segment: Segment, borders: Sequence[int]) -> list[Segment]:
    """The segment in pieces. borders: indices of the words that begin all pieces but the first, ascending.

    It must be one that `can_be_cut`. A piece begins with the space before its first word, so that texts still join
    without a separator. Decoded tokens have no words: the first piece keeps all of them, so that the tokens of all
    segments remain those that were decoded. The other figures are those of the decode, in every piece.
    """
    if not borders:
        return [segment]
    ends = [*borders, len(segment.words)]
    pieces: list[Segment] = []
    for begin, end in pairwise([0, *ends]):
        words = segment.words[begin:end]
        text = segment.text[_place(segment, begin) : _place(segment, end)]
        pieces.append(replace(segment, start=words[0].start, end=words[-1].end, text=text, tokens=(), words=words))
    pieces[0] = replace(pieces[0], start=segment.start, tokens=segment.tokens)
    pieces[-1] = replace(pieces[-1], end=segment.end)
    return pieces


def _place(segment: Segment, border: int) -> int:
    """Where in the text the word of this index begins, with the space before it."""
    if border == len(segment.words):
        return len(segment.text)
    characters = len(_solid(*_texts(segment.words[:border])))
    solid = [place for place, character in enumerate(segment.text) if not character.isspace()]
    return solid[characters - 1] + 1 if characters else 0


def _texts(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def _solid(*texts: str) -> str:
    return "".join("".join(texts).split())


def spoken_by(segment: Segment, label: str) -> Segment:
    """The segment and its words with their speaker."""
    return replace(segment, speaker=label, words=tuple(replace(word, speaker=label) for word in segment.words))


def with_overlap(segments: Sequence[Segment], overlaps: Presence) -> list[Segment]:
    """The segments, marked where people speak at the same time for a notable part of them: see OVERLAP_SHARE.

    Less than BORDER_SECONDS is not notable: turns are not that exact.
    """
    starts, ends = np.array([(segment.start, segment.end) for segment in segments]).reshape(-1, 2).T
    notable = np.maximum(BORDER_SECONDS, OVERLAP_SHARE * (ends - starts)) - ROUNDING
    marks = overlaps.within(starts, ends) >= notable
    return [replace(segment, overlap=bool(mark)) for segment, mark in zip(segments, marks, strict=True)]


def renamed(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """The transcript with other names for its speakers, all at once. names: the new name of each label.

    Speakers with the same name become one; pieces of their text remain separate segments.
    Raises InvalidParameter if a label is unknown or a name is invalid.
    """
    known = [speaker.label for speaker in transcript.speakers]
    for label in names:
        if label not in known:
            who = f"Its speakers are {', '.join(map(repr, known))}." if known else "It has no speakers."
            raise InvalidParameter(f"The transcript has no speaker {label!r}. {who}")
    new = {label: checked_name(names[label]) if label in names else label for label in known}
    speakers: dict[str, Speaker] = {}
    for speaker in transcript.speakers:
        name = new[speaker.label]
        before = speakers.get(name, Speaker(name, 0.0, 0.0))
        speakers[name] = Speaker(name, before.seconds + speaker.seconds, min(1.0, before.share + speaker.share))
    segments = tuple(
        replace(
            segment,
            speaker=new.get(segment.speaker or "", segment.speaker),
            overlap=segment.overlap and len(speakers) > 1,
            words=tuple(replace(word, speaker=new.get(word.speaker or "", word.speaker)) for word in segment.words),
        )
        for segment in transcript.segments
    )
    return replace(transcript, segments=segments, speakers=tuple(speakers.values()))


def checked_name(name: str) -> str:
    """The name of a speaker, without surrounding space. Raises InvalidParameter."""
    stripped = name.strip()
    if not stripped:
        raise InvalidParameter("The name of a speaker is empty. Send at least one character.")
    if len(stripped) > MAX_NAME_CHARACTERS:
        raise InvalidParameter(
            f"The name of a speaker has {len(stripped)} characters. Send at most {MAX_NAME_CHARACTERS}."
        )
    if any(_is_control(character) for character in stripped):
        raise InvalidParameter(f"The name {stripped!a} has control characters or line breaks. Send it without them.")
    return stripped


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in NOT_IN_NAMES or unicodedata.bidirectional(character) in REORDERING
