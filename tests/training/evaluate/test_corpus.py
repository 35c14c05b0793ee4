"""`evaluate corpus` over shards laid out by hand: every figure of a known session, and the whole command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut, Recording

from tests.training.chat_server import Say, chat_server
from tests.training.evaluate.streams import event, heard, reply, stream
from training.__main__ import main
from training.evaluate import EvaluationError
from training.evaluate.corpus import trigger_counts
from training.evaluate.hearing import Listener
from training.evaluate.judge import load_judge
from training.evaluate.replies import compare
from training.evaluate.stability import SEGMENTS, stability, written
from training.streams import Stream

CHUNKS = 9
SIREN = event(1.0, 2.0, 'siren', respond=True)
RAIN = event(2.4, 3.2, 'rain', respond=False)


def numbered(number: int, split: str = 'test') -> tuple[Stream, np.ndarray]:
    samples = np.random.default_rng([9, number]).normal(0, 0.1, CHUNKS * 6_400).astype(np.float32)
    answer = reply(SIREN, 'A siren! An emergency vehicle is near.', due_s=1.8)
    made = stream(
        [SIREN, RAIN], [answer], CHUNKS, 'proactive respond', 'hazard', id=f'stream-{number:08d}', split=split
    )
    return made, samples


@pytest.fixture(scope='module')
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six streams, one of them for training, as shards that lhotse writes."""
    out = tmp_path_factory.mktemp('corpus')
    cuts = []
    for number in range(6):
        made, samples = numbered(number, 'train' if number == 2 else 'test')
        soundfile.write(out / f'{made.id}.wav', samples, 16_000)
        recording = Recording.from_file(out / f'{made.id}.wav')
        custom = {'stream': made.model_dump(mode='json')}
        cuts.append(MonoCut(made.id, 0.0, recording.duration, 0, recording=recording, custom=custom))
    (out / 'shar').mkdir()
    CutSet.from_cuts(cuts).to_shar(out / 'shar', fields={'recording': 'flac'}, shard_size=4)
    return out


def test_the_command_prints_its_json_last_and_writes_a_page_beside_the_corpus(
    corpus: Path, listener_folder: str, capsys
):
    assert main(['evaluate', 'corpus', str(corpus), '--checkpoint', listener_folder]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['trials'] == 10 and figures['hazards_in_category']['of'] == 5
    assert figures['trigger_accuracy_if_always_silent'] == pytest.approx(8 / 9, abs=1e-4)
    for name in ('trigger_accuracy', 'trigger_accuracy_teacher_forced'):
        assert 0 <= figures[name] <= 1 and name in figures['confidence_95']
    assert list(figures['per_category']) == ['proactive respond']
    assert list(figures['by_task']) == ['proactive respond / hazard']
    assert list(figures['by_snr']) == ['10 … 15 dB']
    assert list(figures['stability']) == ['1', '2', '3', '4', '5']
    page = (corpus / 'evaluation.html').read_text()
    assert page.count('<audio') == 5 and 'Stability' in page


def test_as_many_streams_as_asked_for_are_drawn_by_the_seed(corpus: Path, listener_folder: str, capsys, tmp_path):
    def figures(*options: str) -> dict:
        page = str(tmp_path / 'page.html')
        command = ['evaluate', 'corpus', str(corpus), '--checkpoint', listener_folder, '--report', page]
        assert main([*command, '--streams', *options]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    assert figures('2')['trials'] == 4 and figures('2') == figures('2') and figures('9')['trials'] == 10
    assert main(['evaluate', 'corpus', str(corpus), '--checkpoint', listener_folder, '--streams', '0']) == 2
    assert '--streams 0: give one or more' in capsys.readouterr().err


def test_the_first_of_a_concatenation_hears_what_it_hears_alone(listener: Listener):
    streams = [numbered(number) for number in range(SEGMENTS)]
    figures = stability(listener, streams, seed=1)
    alone = [trial for made, samples in streams for trial in compare(made, listener.hear_samples(samples)).trials()]
    for name, wanted in (('recall', True), ('false_positive_rate', False)):
        assert figures['1'][name] == pytest.approx(
            np.mean([t.answered for t in alone if t.respond is wanted]), abs=1e-4
        )
    assert [figures[str(n)]['trials'] for n in range(1, 6)] == [len(alone)] * 5
    assert stability(listener, streams[:4], seed=1) == {}


def test_streams_said_aloud_are_written_when_they_are_concatenated():
    made, _ = numbered(0)
    assert written(made.model_copy(update={'aloud': True, 'drains': ()})).drains == made.drains


def test_every_control_token_counts_in_the_trigger_accuracy():
    """The reply is due after chunk 4; of nine decisions two are wrong when it comes after chunk 6."""
    made, _ = numbered(0)
    late = trigger_counts(made, heard({6: 'A siren!'}, CHUNKS), np.arange(CHUNKS) == 4)
    assert (late.right, late.decisions, late.right_teacher_forced, late.silent) == (7, 9, 9, 8)
    exact = trigger_counts(made, heard({4: 'A siren!'}, CHUNKS), np.zeros(CHUNKS, bool))
    assert (exact.right, exact.right_teacher_forced) == (9, 8)


def test_a_split_without_streams_and_a_folder_without_a_corpus_are_one_sentence(
    corpus, tmp_path, listener_folder, capsys
):
    assert main(['evaluate', 'corpus', str(corpus), '--split', 'validation', '--checkpoint', listener_folder]) == 2
    assert 'has no stream on the validation side' in capsys.readouterr().err
    assert main(['evaluate', 'corpus', str(tmp_path), '--checkpoint', listener_folder]) == 2
    assert 'no shards under' in capsys.readouterr().err


def judge_file(tmp_path: Path, url: str) -> Path:
    path = tmp_path / 'judge.yaml'
    path.write_text(f'base_url: {url}\nmodel: local\napi_key_env: null\ncache: {tmp_path / "cache"}\n')
    return path


def test_a_judge_is_asked_when_one_is_configured_and_its_verdict_is_one_of_three(tmp_path: Path):
    with chat_server([Say('{"reason": "vague", "score": 0.7}'), Say('{"reason": "vague", "score": 0.5}')]) as server:
        score = load_judge(judge_file(tmp_path, server.url)).score(
            'a siren', ('A siren, make way!',), 'Something </data>'
        )
    assert score == 0.5 and len(server.requests) == 2
    asked = server.requests[0]['messages'][-1]['content']
    assert 'A siren, make way!' in asked and 'Something' in asked
    assert asked.count('</data>') == 3  # what was said cannot end its own quotation


def test_the_mean_of_a_judge_is_over_all_scores_with_an_interval_over_streams(tmp_path: Path):
    judge = load_judge(judge_file(tmp_path, 'http://127.0.0.1:9'))
    found = judge.mean([1.0, 0.5, 0.0, 0.0], ['a', 'a', 'b', 'b'], seed=1)
    assert list(found) == ['mean_score', 'of', 'confidence_95', 'made_by']
    assert found['mean_score'] == 0.375 and found['of'] == 4 and found['made_by'] == 'local'
    assert found['confidence_95'] == [0.0, 0.75]  # all drawn from b, all drawn from a
    assert judge.mean([], [], seed=1)['mean_score'] is None


def test_a_judge_that_is_not_described_is_one_sentence(tmp_path: Path):
    (tmp_path / 'judge.yaml').write_text('model: local\n')
    for path in (tmp_path / 'judge.yaml', tmp_path / 'nowhere.yaml'):
        with pytest.raises(EvaluationError, match='does not describe a language model'):
            load_judge(path)
