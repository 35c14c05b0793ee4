"""What the benchmarks say of a timeline, and that both schedulers, the speeds and the soak really run."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from audio_interaction_ros.bench import fifo, sessions, soak, speed
from audio_interaction_ros.bench.schedulers import SCHEDULERS, SchedulerTrace, ScriptedSession


@pytest.fixture
def sound():
    return np.random.default_rng(0).uniform(-0.1, 0.1, 12 * CHUNK_SAMPLES).astype(np.float32)


def timeline(decisions, responses=(), chunks=10):
    return SchedulerTrace(chunks, list(decisions), list(responses), [0.02, 0.04])


def prompt(chunks, delay_s=0.03):
    return [((n + 1) * CHUNK_S + delay_s, n) for n in chunks]


def test_who_always_keeps_up_has_the_delay_as_latency_and_no_stall():
    figures = fifo.figures(timeline(prompt(range(10))))
    assert figures['first_chunk_latency_ms'] == {'p50': 30.0, 'p99': 30.0}
    assert figures['stall_share'] == 0.0
    assert math.isnan(figures['resume_latency_ms']['p50'])


def test_a_drain_after_a_response_resumes_at_once():
    # Chunk 2 triggers a response from 1.23 to 2.5 s; chunks 3, 4 and 5 are drained together at 2.55 s.
    made = [*prompt(range(3)), (2.55, 5), *prompt(range(6, 10))]
    figures = fifo.figures(timeline(made, [(1.23, 2.5)]))
    assert figures['resume_latency_ms']['p50'] == pytest.approx(50.0)
    assert figures['stall_share'] == 0.0
    assert figures['first_chunk_latency_ms']['p50'] == pytest.approx(30.0)


def test_a_backlog_worked_off_one_by_one_resumes_late_and_stalls():
    # The same response; then 0.3 s for each chunk that waited.
    made = [*prompt(range(3)), (2.8, 3), (3.1, 4), (3.4, 5), (3.7, 6), (4.0, 7), (4.1, 8), (4.2, 9)]
    figures = fifo.figures(timeline(made, [(1.23, 2.5)]))
    assert figures['resume_latency_ms']['p50'] == pytest.approx(1_700.0)  # chunk 9 alone is fresh when it is decided on
    # Chunks 0, 1, 2, 6, 7 and 8 ended while it did not speak; the last three waited for more than 0.4 s.
    assert figures['stall_share'] == 0.5


def test_nothing_to_resume_with_is_not_waited_for():
    made = prompt(range(10))
    figures = fifo.figures(timeline(made, [(1.23, 1.3)]))  # over before chunk 3 ends at 1.6
    assert figures['resume_latency_ms']['p50'] == pytest.approx(30.0)


@pytest.mark.parametrize('name', SCHEDULERS)
def test_both_schedulers_do_the_scripted_work_in_real_time(name, encoder_half, decoder_half, sound):
    session = ScriptedSession(decoder_half, {2: 5, 6: 9}, pass_s=0.004)
    heard = SCHEDULERS[name](encoder_half, decoder_half, session, sound)
    assert heard.chunks == 12
    assert heard.decisions[-1][1] == 11
    assert [newest for _, newest in heard.decisions] == sorted({newest for _, newest in heard.decisions})
    assert all(made >= (newest + 1) * CHUNK_S for made, newest in heard.decisions)
    assert len(heard.responses) == 2
    assert len(heard.token_gaps_s) == 5 + 9
    assert min(heard.token_gaps_s) >= 0.003


def test_the_speeds_of_every_pass_stand_beside_floors_below_them(encoder_half, decoder_half, sound):
    result = speed.run(encoder_half, decoder_half, sound, repeats=5)
    assert set(result['passes']) == {
        'encode_one_chunk', 'drain_one_chunk', 'drain_2_chunks', 'drain_4_chunks', 'drain_8_chunks', 'text_token',
        'told_with_full_context',
    }  # fmt: skip
    assert all(row['ratio'] > 1 for row in result['passes'].values())
    assert result['real_time_factor'] > 1


def test_a_soak_skips_nothing_and_writes_a_page(encoder_half, decoder_half, sound, tmp_path):
    result = soak.run(encoder_half, decoder_half, sound, hours=0.03, probe=sound[:CHUNK_SAMPLES])
    assert (result['decisions'], result['decisions_skipped']) == (270, 0)
    assert result['compactions'] > 10
    assert isinstance(result['probe_answered_first'], list)
    soak.write(result, tmp_path / 'soak')
    assert json.loads((tmp_path / 'soak' / 'soak.json').read_text())['decisions'] == 270
    page = (tmp_path / 'soak' / 'soak.html').read_text()
    assert f'<td>{result["by_hour"][0]["memory_mb"]}<i style="width:100.0%">' in page


def test_streams_that_share_a_process_are_all_heard_in_every_period(encoder_half, decoder_half, sound):
    work_s = sessions.time_periods(encoder_half, decoder_half, sound, sessions=3, periods=4)
    assert len(work_s) == 4 and min(work_s) > 0
