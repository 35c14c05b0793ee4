"""What a session said in a corpus stream, against what the stream calls for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.matching import match
from audio_interaction_ros.streaming.loop import Response
from training.clips.answers import load_answers
from training.evaluate.hearing import Heard, end_s
from training.evaluate.rightness import category_named, same_words
from training.evaluate.trials import Trial
from training.render.one_clip import AFTER_S
from training.streams import Event, Reply, Role, Stream

DIRECT_REQUESTS = ('spoken request', 'phrase')  # sub-tasks in which each request is answered on its own
UNINSTRUCTED = ('voice chatting', 'proactive respond')  # abilities that nobody asks for


@dataclass(frozen=True)
class ReplyResult:
    """A `ReplyResult` is a reply that a stream calls for, and what was said in its place, if anything.

    `from_history`: what is asked for lies at least three rounds back (paper §3.3).
    """

    reply: Reply
    event: Event
    from_history: bool
    response: Response | None
    right: bool

    @property
    def warning(self) -> bool:
        """Return whether the reply warns of a sound."""
        return is_warning(self.reply, self.event)


@dataclass(frozen=True)
class Silence:
    """A `Silence` is a foreground event that deserves no answer, and what was said about it nonetheless."""

    event: Event
    response: Response | None


@dataclass(frozen=True)
class Comparison:
    """A `Comparison` assigns everything that was said in a stream to what it answers.

    What is in `false` and `repeats` answers nothing that was open.
    """

    stream: Stream
    heard: Heard
    answers: tuple[ReplyResult, ...]
    silences: tuple[Silence, ...]
    repeats: tuple[Response, ...]
    false: tuple[Response, ...]

    @property
    def hours(self) -> float:
        """Return how many hours of sound the stream holds."""
        return self.stream.chunks * CHUNK_S / 3_600

    def trials(self) -> list[Trial]:
        """Return a trial for each reply and each silence, with the stream as their unit.

        Categories are the paper's seven abilities.
        """
        in_place = [id(a.response.decision) for a in self.answers if a.response]
        in_place += [id(response.decision) for response in self.repeats]

        def score(event: Event, until_s: float, own: Response | None) -> float:
            """Of the decisions about this event: an answer to another one says nothing about it."""
            kept = {id(own.decision)} if own else set()
            return max(
                (
                    d.probability
                    for d in self.heard.decisions
                    if event.onset / SAMPLE_RATE_HZ < end_s(d) <= until_s and (id(d) in kept or id(d) not in in_place)
                ),
                default=0.0,
            )

        def trial(event: Event, respond: bool, response: Response | None, until_s: float, right: bool | None) -> Trial:
            return Trial(
                unit=self.stream.id,
                category=self.stream.category,
                task=f'{self.stream.category} / {self.stream.task}',
                respond=respond,
                answered=response is not None,
                latency_s=end_s(response.decision) - event.onset / SAMPLE_RATE_HZ if response and respond else None,
                score=score(event, until_s, response),
                correct=right,
                snr_db=self.stream.event_snr_db,
                said=response.text if response else '',
            )

        places = scheduled(self.stream)
        answered = [
            trial(a.event, True, a.response, places[index] + AFTER_S, a.right if a.response else None)
            for index, a in zip(sorted(places), self.answers, strict=True)
        ]
        quiet = [trial(s.event, False, s.response, _silence_until_s(s.event), None) for s in self.silences]
        return answered + quiet


def scheduled(stream: Stream) -> dict[int, float]:
    """Return the end of the drain that the labels answer a reply after, in seconds, by the number of the reply.

    Replies without a place in the stream are left out.
    """
    return {drain.reply: (drain.last + 1) * CHUNK_S for drain in stream.drains if drain.reply is not None}


def is_warning(reply: Reply, event: Event) -> bool:
    """Return whether a reply is what categories.yaml says about the event's category."""
    answers = load_answers()
    return event.category in answers and reply.text in answers[event.category].sentences


def compare(stream: Stream, heard: Heard) -> Comparison:
    """Assign every response of a session to what it answers.

    A response answers a reply from the first chunk that holds a sample of what calls for it, until 1.2 s after the
    drain that the labels answer it after; of several open ones the first in the script. What is left is a repeat, if it
    lies in such a window, or false; a false one counts against the newest thing that deserves silence.
    """
    places = scheduled(stream)
    numbers = sorted(places)
    windows = [(stream.replies[n].onset / SAMPLE_RATE_HZ, places[n] + AFTER_S) for n in numbers]
    matches = match(windows, [end_s(response.decision) for response in heard.responses])
    false = tuple(heard.responses[moment] for moment in matches.false)
    history = from_history(stream)
    answers: list[ReplyResult] = []
    said_for: dict[str, set[str]] = defaultdict(set)  # of the sentences of a warning, which were said
    for window, number in enumerate(numbers):
        reply = stream.replies[number]
        event = _calling(stream, reply)
        moment = matches.answers.get(window)
        response = heard.responses[moment] if moment is not None else None
        wanted = {reply.text, *said_for[reply.text]} if number in history else {reply.text}
        right = response is not None and _right(response.text, reply, event, wanted)
        if right and response:
            said_for[reply.text].add(response.text)
        answers.append(ReplyResult(reply, event, number in history, response, right))
    return Comparison(
        stream,
        heard,
        tuple(answers),
        _silences(stream, false),
        tuple(heard.responses[moment] for moment in matches.repeats),
        false,
    )


def _calling(stream: Stream, reply: Reply) -> Event:
    """What sounds in the background all the while began earlier."""
    covering = (event for event in stream.events if event.onset <= reply.onset and reply.due <= event.end)
    return max(covering, key=lambda event: event.onset)


def from_history(stream: Stream) -> set[int]:
    """Return the numbers of the replies that answer a question about what was long ago.

    The scripts of 'memory' end with one, and so does a stream into which a history review was mixed. What did not fit
    was left out at the end.
    """
    memory = stream.task == 'memory' and not stream.abilities  # of which a heterogeneous stream may not have the end
    questions = memory + ('history review' in stream.mixed_in) - stream.lines_left_out
    asked = [n for n in sorted(scheduled(stream)) if _calling(stream, stream.replies[n]).text]
    return set(asked[-questions:]) if questions > 0 else set()


def _right(said: str, reply: Reply, event: Event, wanted: set[str]) -> bool:
    if is_warning(reply, event):
        return category_named(said, event.category)
    return any(same_words(said, text, reply.language) for text in wanted)


def _silences(stream: Stream, false: tuple[Response, ...]) -> tuple[Silence, ...]:
    called = [reply.onset for reply in stream.replies]
    events = [e for e in stream.events if e.role is Role.FOREGROUND and e.onset not in called]
    said: dict[int, Response] = {}
    for response in false:
        at_s = end_s(response.decision)
        near = [n for n, e in enumerate(events) if e.onset / SAMPLE_RATE_HZ < at_s <= _silence_until_s(e)]
        if near:
            said.setdefault(max(near, key=lambda n: events[n].onset), response)
    return tuple(Silence(event, said.get(number)) for number, event in enumerate(events))


def _silence_until_s(event: Event) -> float:
    last_chunk = (event.end - 1) // CHUNK_SAMPLES
    return (last_chunk + 1) * CHUNK_S + AFTER_S


def stands_instructed(stream: Stream) -> bool:
    """Return whether a stream begins with an instruction, written or spoken, that stays in force."""
    asked = stream.category not in UNINSTRUCTED and stream.task not in DIRECT_REQUESTS
    return (bool(stream.instruction) or asked) and not stream.abilities  # of those, each asked for task ends


def instruction(comparison: Comparison) -> tuple[str, str] | None:
    """Return the instruction in force in a stream as ('spoken' or 'written', its text), or None without one.

    A standing instruction is the text prefix or the first thing said; direct requests stand for themselves.
    """
    stream = comparison.stream
    if stream.instruction:
        return 'written', stream.instruction
    if stands_instructed(stream):
        return 'spoken', min(stream.events, key=lambda event: event.onset).text
    return None


def instructed_answers(comparison: Comparison) -> list[tuple[str, str, ReplyResult]]:
    """Return every answer that an instruction calls for.

    Each is ('spoken' or 'written', text of the instruction, answer).
    """
    standing = instruction(comparison)
    kept = [a for a in comparison.answers if not a.warning and not a.from_history]
    if standing is not None:
        return [(*standing, a) for a in kept if a.event.text != standing[1]]  # its acknowledgement follows nothing
    if comparison.stream.task in DIRECT_REQUESTS:
        return [('spoken', a.event.text, a) for a in kept]
    return []
