"""`evaluate ask`: questions about held-out recordings while the stream goes on, which is compared with one left alone.

They go the robot's way: accepted in the middle of a stream, and answered between its decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.streaming.asking import Ask, Questions, QuestionState, RecentChunks, Reply
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session
from training.evaluate import EvaluationError
from training.evaluate.clip_sets import ClipSet, Scored
from training.evaluate.hearing import Listener
from training.evaluate.rightness import category_named
from training.random_streams import Purpose, random_stream
from training.render.one_clip import CHUNKS, one_clip_stream
from training.scripts.shelf import named

QUESTION = 'Describe what you hear.'  # one of the instructions that the embedded checkpoint was trained on
OPTIONS = 4  # sentences to choose among, the right one included
_PASSES_A_CHUNK = 24  # for questions: fewer than there is time for, so that answers take several decisions


@dataclass(frozen=True)
class AskedClip:
    """An `AskedClip` is what became of a recording: the answer, the option that was chosen, and the stream.

    `decisions` counts those before, during and after the questions; `undisturbed`: all of them, and what was said, are
    those of the same stream without a question, to the last bit.
    """

    scored: Scored
    answer: str
    answered_rightly: bool
    chosen: str
    share: float
    chosen_rightly: bool
    decisions: tuple[int, int, int]
    undisturbed: bool


def ask_about_clips(
    listener: Listener, sets: Sequence[ClipSet], clips: int, seed: int, question: str = QUESTION
) -> list[AskedClip]:
    """Ask two questions about each of so many recordings, drawn by `seed`, of as many categories as there are.

    The next recording is heard while they are answered.

    Raises EvaluationError where there are not enough recordings, or categories to choose among.
    """
    drawn = _draw(sets, clips, seed)
    categories = sorted({scored.sound.category for scored in drawn})
    if len(categories) < OPTIONS:
        raise EvaluationError(
            f'{len(categories)} categories found, at least {OPTIONS} expected to choose among; give more recordings'
        )
    found = []
    for number, scored in enumerate(tqdm(drawn, desc='asked about', unit='clip')):
        rng = random_stream(Purpose.ASKED_CLIPS, seed, number + 1)
        others = [category for category in categories if category != scored.sound.category]
        wrong = [others[k] for k in rng.permutation(len(others))[: OPTIONS - 1]]
        options = [named(category) for category in (scored.sound.category, *wrong)]
        after = drawn[(number + 1) % len(drawn)]
        streams = [one_clip_stream(each.sound, number, seed).samples for each in (scored, after)]
        chunks = list(listener.encode(np.concatenate(streams)))
        asks = (Ask(question), Ask(question, options=options))
        (answer, choice), beside, during = _hear(listener, chunks, asks)
        _, alone, _ = _hear(listener, chunks, ())
        found.append(
            AskedClip(
                scored,
                answer.answer.text,
                category_named(answer.answer.text, scored.sound.category),
                choice.answer.text,
                choice.options[0].share,
                choice.answer.text == options[0],
                (CHUNKS, during, len(chunks) - CHUNKS - during),
                beside == alone,
            )
        )
    return found


def table(asked: Sequence[AskedClip]) -> str:
    """Return a Markdown table, a row for each recording."""
    lines = [
        '| recording | category | answer | right | likeliest option | its share | right | decisions before, during, '
        'after | as without a question |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for one in asked:
        cells = [
            one.scored.file or one.scored.recording,
            one.scored.sound.category,
            one.answer,
            _yes(one.answered_rightly),
            one.chosen,
            f'{one.share:.2f}',
            _yes(one.chosen_rightly),
            ', '.join(map(str, one.decisions)),
            _yes(one.undisturbed),
        ]
        lines.append(f'| {" | ".join(cell.replace("|", "/") for cell in cells)} |')
    return '\n'.join(lines)


def figures(asked: Sequence[AskedClip]) -> dict[str, Any]:
    """Return what the table says in numbers."""
    return {
        'clips': len(asked),
        'answered_rightly': sum(one.answered_rightly for one in asked),
        'chosen_rightly': sum(one.chosen_rightly for one in asked),
        'chosen_rightly_by_chance': round(len(asked) / OPTIONS, 2),
        'decisions': sum(map(sum, (one.decisions for one in asked))),
        'decisions_during_questions': sum(one.decisions[1] for one in asked),
        'streams_undisturbed': sum(one.undisturbed for one in asked),
    }


def _draw(sets: Sequence[ClipSet], clips: int, seed: int) -> list[Scored]:
    """Draw recordings in turns, one of every category, then a second one of every category, and so on."""
    sounds = [scored for one in sets for scored in one.sounds]
    rng = random_stream(Purpose.ASKED_CLIPS, seed, 0)
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, Scored]] = []
    for scored in (sounds[k] for k in rng.permutation(len(sounds))):
        turn = turns[scored.sound.category] = turns.get(scored.sound.category, 0) + 1
        ranked.append((turn, len(ranked), scored))
    if len(ranked) < clips:
        raise EvaluationError(f'{len(ranked)} recordings found, {clips} expected; give fewer --clips, or more of them')
    return [scored for _, _, scored in sorted(ranked, key=lambda one: one[:2])[:clips]]


def _hear(
    listener: Listener, chunks: Sequence[EncodedChunk], asks: Sequence[Ask]
) -> tuple[list[Reply], list[tuple[object, ...]], int]:
    """Hear two recordings, ask after the first, and return the last replies, what was emitted, and decisions meanwhile.

    Raises what the model raises.
    """
    decoder = listener.decoder
    queue = ChunkQueue(max_chunks=1)
    loop = ListeningLoop(queue, make_session(decoder), decoder)
    questions, recent = Questions(decoder, max(1, len(asks)), 600.0), RecentChunks(CHUNKS)
    emitted: list[tuple[object, ...]] = []
    replies: list[Reply] = []
    during = 0
    for chunk in chunks:
        recent.push(chunk)
        queue.push(chunk)
        during += len(questions) > 0
        emitted += [_as_emitted(event) for event in loop.run_until_idle()]
        if chunk.index == CHUNKS - 1:
            for ask in asks:
                questions.ask('', recent, ask)
        for _ in range(_PASSES_A_CHUNK):
            replies += filter(None, [questions.advance()])
    while questions:
        replies += filter(None, [questions.advance()])
    for reply in replies:
        if reply.error is not None:
            raise reply.error
    return [reply for reply in replies if reply.state != QuestionState.WRITING], emitted, during


def _as_emitted(event: Decision | Response) -> tuple[object, ...]:
    if isinstance(event, Decision):
        return event.chunk.index, event.respond, event.probability
    return event.text, event.emotion, event.final


def _yes(true: bool) -> str:
    return 'yes' if true else 'no'
