"""Stages without mix-ins read each stream up to the first of them, and never a sample of it."""

from __future__ import annotations

import pytest

from audio_interaction_ros.audio import CHUNK_SAMPLES
from training.stages.mix_ins import plain_chunks, without_mix_ins
from training.streams import Event, Reply, Role, Stream, schedule

# What a line is, and whether it is answered.
LINES = {
    'asked': {'category': 'speech', 'respond': None, 'text': 'What is that?'},
    'silent': {'category': 'rain', 'respond': False, 'text': ''},
    'ordinary': {'category': 'music', 'respond': False, 'text': ''},
    'proactive': {'category': 'smoke alarm', 'respond': True, 'text': ''},
    'history review': {'category': 'speech', 'respond': None, 'text': 'What did I ask first?'},
}
ANSWERED = {'asked', 'proactive', 'history review'}
SECOND = 16_000


def stream(*lines: str, mixed_in: tuple[str, ...] | None = None, aloud: bool = False) -> Stream:
    """Each line sounds for a second, with a second after it, over rain in the background from the start."""
    events = [
        Event(onset=0, end=9 * SECOND, known=9 * SECOND, role=Role.BACKGROUND, clip='rain', **LINES['silent']),
        *(
            Event(
                onset=at * SECOND, end=(at + 1) * SECOND, known=(at + 1) * SECOND, role=Role.FOREGROUND, clip=line,
                **LINES[line],
            )
            for at, line in zip(range(1, 99, 2), lines, strict=False)
        ),
    ]  # fmt: skip
    replies = [Reply(onset=e.onset, due=e.end, text='A reply.') for e in events if e.clip in ANSWERED]
    chunks = -(-(2 * len(lines) + 2) * SECOND // CHUNK_SAMPLES)
    if mixed_in is None:
        mixed_in = tuple(dict.fromkeys(line for line in lines if line != 'asked'))
    return Stream(
        id='stream-00000000', split='train', category='voice chatting', task='', instruction='', made_by='test',
        mixed_in=mixed_in, chunks=chunks, aloud=aloud, event_snr_db=20.0, ambient_snr_db=25.0, events=tuple(events),
        replies=tuple(replies), drains=tuple(schedule(replies, chunks, aloud)),
    )  # fmt: skip


@pytest.mark.parametrize('mixed_in', sorted(set(LINES) - {'asked'}))
def test_a_stream_ends_before_what_was_mixed_in(mixed_in):
    made = stream('asked', 'asked', mixed_in) if mixed_in == 'history review' else stream('asked', mixed_in, 'asked')
    onset = next(event.onset for event in made.events if event.clip == mixed_in)
    read = without_mix_ins(made)
    assert onset - 2 * CHUNK_SAMPLES < read.chunks * CHUNK_SAMPLES <= onset
    assert read.drains == tuple(drain for drain in made.drains if drain.last < read.chunks)
    assert [d.reply for d in read.drains if d.reply is not None] == ([0, 1] if mixed_in == 'history review' else [0])


def test_a_stream_into_which_nothing_was_mixed_is_whole():
    made = stream('asked', 'silent', 'asked', mixed_in=())
    assert plain_chunks(made) == made.chunks and without_mix_ins(made) == made


def test_what_was_to_be_mixed_in_and_did_not_fit_takes_nothing_away():
    made = stream('asked', 'asked', mixed_in=('silent',))
    assert without_mix_ins(made) == made


def test_a_drain_that_reaches_into_what_was_mixed_in_is_left_out():
    made = stream('asked', 'proactive', aloud=True)
    assert made.drains[-1].last >= plain_chunks(made) > 0
    assert without_mix_ins(made).drains[-1].last == plain_chunks(made) - 1


@pytest.mark.parametrize(
    'made',
    [stream('silent', 'asked'), stream('asked', 'asked', mixed_in=('something new',))],
    ids=['before any reply', 'of a kind that nobody knows'],
)
def test_of_a_stream_that_begins_with_it_nothing_is_read(made):
    assert plain_chunks(made) == 0
