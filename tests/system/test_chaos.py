"""What a chaos run counts: chunks that nobody declared lost, stale words, deafness that nobody told of."""

from __future__ import annotations

import pytest

from audio_interaction_ros.msg import Decision, Response, SafetyAlert
from tests.system.chaos.keeper import slope_mb_per_h
from tests.system.chaos.record import Record


def decisions(*rows: tuple[int, int, int, int]) -> Record:
    """(stream, newest chunk, drained, lost so far) each."""
    record = Record()
    for number, (stream, newest, drained, lost) in enumerate(rows):
        decision = Decision(stream_id=stream, chunk_index=newest, chunks_drained=drained, chunks_lost=lost)
        record.decision(decision, 0.4 * number)
    return record


@pytest.mark.parametrize(
    ('rows', 'undeclared'),
    [
        ([(1, 0, 1, 0), (1, 1, 1, 0), (1, 4, 3, 0)], 0),  # a drain of three
        ([(1, 0, 1, 0), (1, 3, 1, 2)], 0),  # two lost, and said so
        ([(1, 0, 1, 0), (1, 3, 1, 1)], 1),  # two lost, and one of them said
        ([(1, 0, 1, 0), (1, 5, 2, 0)], 3),
        ([(1, 7, 1, 3), (2, 4, 1, 0)], 0),  # another stream begins where it likes
        ([(1, 7, 1, 3), (1, 40, 1, 0), (1, 41, 1, 0)], 0),  # a decoder that starts anew counts from where it begins
    ],
)
def test_only_what_was_not_declared_is_lost(rows, undeclared):
    assert decisions(*rows).undeclared == undeclared


def test_a_new_decoder_in_the_same_stream_has_lost_nothing_of_before_it():
    record = decisions((1, 7, 1, 0))
    record.decoder_began()
    record.decision(Decision(stream_id=1, chunk_index=40, chunks_drained=1), 9.0)
    record.decision(Decision(stream_id=1, chunk_index=43, chunks_drained=1), 9.4)
    assert record.undeclared == 2


def test_a_response_is_as_stale_as_when_it_began():
    record = Record()
    for id_, age_s in (('a', 0.5), ('a', 9.0), ('b', 3.5)):
        record.response(Response(id=id_), age_s)
    assert (record.responses, record.stale_responses) == (2, 1)


def test_deafness_must_be_told_unless_nobody_could():
    record = Record(decided_s=[0.0, 0.4, 5.0, 5.4, 12.0, 12.4, 20.0])
    for at_s, hazard, state in (
        (2.5, 'listening_lost', SafetyAlert.RAISED),
        (8.0, 'fire', SafetyAlert.RAISED),
        (8.1, 'listening_lost', SafetyAlert.CLEARED),
    ):
        record.alert(SafetyAlert(hazard=hazard, state=state), at_s)
    assert record.alerts_missed([]) == 2
    assert record.alerts_missed([(13.0, 15.0)]) == 1


def test_memory_that_swells_and_shrinks_or_steps_once_does_not_grow():
    seconds = [0.1 * n for n in range(6_000)]
    swelling = [(at_s, 200.0 + 4.0 * (at_s % 24.0) / 24.0 + 30.0 * (at_s > 5.0)) for at_s in seconds]
    assert slope_mb_per_h(swelling) == pytest.approx(0.0, abs=0.1)
    assert slope_mb_per_h([(at_s, mb + at_s / 60.0) for at_s, mb in swelling]) == pytest.approx(60.0, rel=0.1)
    assert slope_mb_per_h([(at_s, mb + 7.0 * (at_s > 200.0)) for at_s, mb in swelling]) == pytest.approx(0.0, abs=0.1)
    assert slope_mb_per_h(swelling[:2_000]) == 0.0
    assert slope_mb_per_h([]) == 0.0
