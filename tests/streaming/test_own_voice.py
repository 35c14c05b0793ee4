"""What the assistant may have said itself is answered only where that is urgent."""

from __future__ import annotations

import pytest

from audio_interaction_ros.streaming.fifo import ChunkQueue
from audio_interaction_ros.streaming.loop import ListeningLoop, make_session
from audio_interaction_ros.streaming.own_voice import OwnVoice
from tests.streaming.test_loop import ALWAYS, chunk

CHUNK_NS = 400_000_000


def test_what_is_heard_while_it_speaks_and_as_long_as_the_room_echoes_may_be_its_own_voice():
    own = OwnVoice()
    assert not own.may_be_in([chunk(0)])
    own.speaks(False, 0)
    own.speaks(True, 5 * CHUNK_NS + 1)
    own.speaks(True, 6 * CHUNK_NS)  # another clause
    assert [index for index in range(20) if own.may_be_in([chunk(index)])] == list(range(5, 20))
    own.speaks(False, 8 * CHUNK_NS)
    assert [index for index in range(20) if own.may_be_in([chunk(index)])] == [5, 6, 7, 8, 9]
    assert own.may_be_in([chunk(3), chunk(7)]) and not own.may_be_in([chunk(3), chunk(12)])
    assert own.is_in([chunk(7)]) and not own.is_in([chunk(12)])
    own.others_talk(True, 7 * CHUNK_NS)
    assert own.may_be_in([chunk(7)]) and own.is_in([chunk(7)])
    own.echo_free = True
    assert not own.may_be_in([chunk(7)]) and own.may_be_in([chunk(5)])
    assert not own.is_in([chunk(7)])


@pytest.mark.parametrize(('urgent', 'answered'), [(False, [1, 5]), (True, [1, 2, 5])])
def test_only_an_urgent_response_is_given_to_what_may_be_its_own_voice(decoder_half, monkeypatch, urgent, answered):
    queue, session, own = ChunkQueue(4), make_session(decoder_half, ALWAYS), OwnVoice()
    loop = ListeningLoop(queue, session, decoder_half, own_voice=own)

    def begins_urgent():
        return urgent
        yield

    monkeypatch.setattr(session, '_begins_urgent', begins_urgent)
    own.speaks(True, 2 * CHUNK_NS + 1)
    own.speaks(False, 2 * CHUNK_NS + 2)
    found = []
    for index in (1, 2, 5):
        queue.push(chunk(index))
        found += [index] if loop.step().respond else []
        loop.cancel()
        while loop.step():
            pass
    assert session.context_chunks == len(answered)  # what was not answered of it is forgotten
    assert loop.held_back == (0 if urgent else 1)
    assert found == answered
