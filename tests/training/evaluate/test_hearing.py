"""Batches encode what single chunks do, sessions decide what `listen` decides, and speaking aloud fills the queue."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.deciding import KINDS, Threshold
from audio_interaction_ros.streaming.loop import Decision, Response, encode_waveform, listen
from tests.tiny_checkpoint import EVENTS, write_tiny_checkpoint
from tests.training.evaluate.conftest import SOUND
from tests.training.evaluate.streams import heard as session_that_heard
from tests.training.evaluate.streams import stream as make_stream
from training.evaluate import EvaluationError
from training.evaluate.hearing import NEVER, Listener, end_s
from training.evaluate.teacher_forced import teacher_forced
from training.streams import Reply, schedule


def test_batches_encode_what_single_chunks_do(listener: Listener):
    together, alone = list(listener.encode(SOUND)), list(encode_waveform(listener.encoder, SOUND))
    assert [c.first_sample for c in together] == [c.first_sample for c in alone]
    assert [c.stamp_ns for c in together] == [c.stamp_ns for c in alone]
    assert [c.level_dbfs for c in together] == [c.level_dbfs for c in alone]
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours.vectors, theirs.vectors, rtol=1e-5, atol=1e-5)


def test_what_is_heard_is_what_listen_hears(listener: Listener):
    samples = SOUND[: 30 * CHUNK_SAMPLES]
    heard = listener.hear_samples(samples)
    events = list(listen(listener.encoder, listener.decoder, samples))
    decisions = [event for event in events if isinstance(event, Decision)]
    responses = [event for event in events if isinstance(event, Response) and event.final]
    assert [(d.chunk.index, d.respond) for d in heard.decisions] == [(d.chunk.index, d.respond) for d in decisions]
    assert [d.probability for d in heard.decisions] == pytest.approx([d.probability for d in decisions], abs=1e-5)
    assert [(r.text, end_s(r.decision)) for r in heard.responses] == [(r.text, end_s(r.decision)) for r in responses]
    assert 0 < len(responses) < len(decisions)


def test_speaking_aloud_drains_as_the_labels_have_it(listener: Listener):
    """The session's own responses, made labels, give the session's own drains."""
    samples = SOUND[: 30 * CHUNK_SAMPLES]
    heard = listener.hear(listener.encode(samples), aloud=True)
    assert any(decision.chunks_drained > 1 for decision in heard.decisions)
    replies = [
        Reply(onset=0, due=(response.decision.chunk.index + 1) * CHUNK_SAMPLES, text=response.text)
        for response in heard.responses
    ]
    drains = schedule(replies, 30, aloud=True)
    assert [(d.last - d.first + 1, d.reply is not None) for d in drains] == [
        (d.chunks_drained, d.respond) for d in heard.decisions
    ]


def test_an_excerpt_counts_from_its_first_sample(listener: Listener):
    heard = listener.hear_samples(SOUND[: 30 * CHUNK_SAMPLES])
    part = heard.excerpt(5 * CHUNK_SAMPLES, 25 * CHUNK_SAMPLES)
    assert [d.chunk.index for d in part.decisions] == list(range(20))
    assert [d.probability for d in part.decisions] == [d.probability for d in heard.decisions[5:25]]
    whole = [r for r in heard.responses if 5 <= r.decision.chunk.index < 25]
    assert [r.text for r in part.responses] == [r.text for r in whole] and whole
    assert end_s(part.responses[0].decision) == pytest.approx(end_s(whole[0].decision) - 5 * 0.4)


def test_the_highest_probability_of_a_window_is_of_the_decisions_made_after_its_start_and_until_its_end():
    session = session_that_heard({}, chunks=4, probabilities={0: 0.9, 1: 0.5, 2: 0.7, 3: 0.8})
    ends_s = [end_s(decision) for decision in session.decisions]
    assert session.highest_between(ends_s[0], ends_s[1]) == 0.5
    assert session.highest_between(ends_s[0], ends_s[3] - 0.1) == 0.7
    assert session.highest_between(ends_s[3], ends_s[3] + 9.0) == 0.0


def test_teacher_forced_probabilities_are_those_of_a_session_that_never_erred(listener: Listener):
    """In silence the true history is the session's own."""
    chunks = list(listener.encode(SOUND[: 20 * CHUNK_SAMPLES]))
    forced = teacher_forced(listener.decoder, make_stream([], [], 20), chunks).probabilities
    heard = listener.hear(chunks, NEVER)
    assert forced == pytest.approx([d.probability for d in heard.decisions], abs=1e-5)


def test_teacher_forced_decisions_are_those_of_a_session_by_the_thresholds_of_each_kind(tmp_path):
    """Up to the first response, after which the session's history is another."""
    folder = write_tiny_checkpoint(tmp_path / 'kinds', seed=2, max_context_chunks=24, events=EVENTS)
    chunks = list(Listener.load(folder, 'cpu').encode(SOUND[: 20 * CHUNK_SAMPLES]))
    silence = make_stream([], [], 20)
    probabilities = teacher_forced(Listener.load(folder, 'cpu').decoder, silence, chunks).probabilities
    both = np.minimum(probabilities[1:], probabilities[:-1])
    table = {kind: Threshold(at_once=0.999, twice=float(np.quantile(both, 0.6))) for kind in KINDS}
    table['warning'] = Threshold(at_once=0.999, twice=0.999)
    write_tiny_checkpoint(folder, seed=2, max_context_chunks=24, events=EVENTS, thresholds=table)
    listener = Listener.load(folder, 'cpu')
    responds = teacher_forced(listener.decoder, silence, chunks).responds
    said = [decision.respond for decision in listener.hear(chunks).decisions]
    first = said.index(True)
    assert responds[: first + 1].tolist() == said[: first + 1]
    assert first > 0 and probabilities.max() < 0.999


def test_after_a_reply_of_the_labels_the_probabilities_are_those_of_a_session_that_said_it(listener: Listener):
    samples = SOUND[: 20 * CHUNK_SAMPLES]
    heard = listener.hear_samples(samples)
    spoken = heard.responses[:1]
    replies = [
        Reply(onset=0, due=(r.decision.chunk.index + 1) * CHUNK_SAMPLES, text=r.text, emotion='normal') for r in spoken
    ]
    chunks = list(listener.encode(samples))
    forced = teacher_forced(listener.decoder, make_stream([], replies, 20), chunks).probabilities
    first = spoken[0].decision.chunk.index
    assert forced[: first + 1] == pytest.approx([d.probability for d in heard.decisions[: first + 1]], abs=1e-5)
    silent = teacher_forced(listener.decoder, make_stream([], [], 20), chunks).probabilities
    assert not np.allclose(forced[first + 1 :], silent[first + 1 :], atol=1e-5)


def test_another_precision_is_another_ear_that_hears_nearly_the_same(listener: Listener, tiny_checkpoint):
    plain, coarse = Listener.load(tiny_checkpoint, 'cpu'), Listener.load(tiny_checkpoint, 'cpu', 'int8')
    for one, other in zip(plain.encode(SOUND), coarse.encode(SOUND), strict=True):
        torch.testing.assert_close(one.vectors, other.vectors)  # the encoder stays as it is
    layers = [type(module).__name__ for module in coarse.decoder.language_model.modules()]
    assert 'Int8Linear' in layers and 'Linear' not in layers


def test_an_emotion_without_a_token_is_one_sentence(listener: Listener):
    reply = Reply(onset=0, due=CHUNK_SAMPLES, text='Oh!', emotion='surprise')
    with pytest.raises(EvaluationError, match='surprise'):
        teacher_forced(listener.decoder, make_stream([], [reply], 2), list(listener.encode(SOUND[: 2 * CHUNK_SAMPLES])))
