"""The GPU proof runs whole at miniature size where there is no GPU, and survives a part that fails, hangs or dies."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from training.proof import ProofError, command, processes, record, runner
from training.proof.parts import PARTS, Part, fitting
from training.proof.record import Figure, PartRecord, Proof, table
from training.proof.sizes import FULL, MINIATURE
from training.recipe import load_training_recipe
from training.recipe_file import recipe_path
from training.stages.budget import Hardware

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / 'tools' / 'gpu_proof.sh'
gpu = pytest.param('cuda', marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')])
cpu = pytest.param(
    'cpu', marks=pytest.mark.skipif(torch.cuda.is_available(), reason='for the other one there is a GPU')
)


def start_script(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, '--miniature'],
        env=os.environ | {'PYTHON': sys.executable} | environment, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope='module')
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What the script printed, and the folder that it wrote into."""
    out = tmp_path_factory.mktemp('proof') / 'out'
    return start_script(OUT=str(out)), out


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a free machine
@pytest.mark.parametrize('device', [cpu, gpu])
def test_the_script_says_what_it_needs_and_every_part_passes_at_miniature_size(done, device):
    printed, out = done
    assert printed.returncode == 0, printed.stdout + printed.stderr
    assert re.match(r'gpu proof: needs PyTorch with CUDA, one free NVIDIA GPU of 80 GB, this package', printed.stderr)
    assert 'at miniature size, as asked for: the same code' in printed.stdout
    assert json.loads(printed.stdout.splitlines()[-1]) | {'json': ''} == {
        'passed': True, 'failed': [], 'not_done': [], 'json': '',
    }  # fmt: skip
    proof = json.loads((out / record.JSON).read_text())
    assert proof['passed'] and proof['size'] == 'miniature' and (proof['gpu_gb'] > 0) == (device == 'cuda')
    assert {name: part['status'] for name, part in proof['parts'].items()} == {part.name: 'passed' for part in PARTS}
    assert sorted(path.name for path in out.iterdir()) == [record.JSON, record.TABLE]  # no corpus, no run, no log


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_figures_are_those_that_the_issue_of_a_gpu_asks_for(done):
    _, out = done
    parts = json.loads((out / record.JSON).read_text())['parts']
    figures = {name: {row['name']: row['value'] for row in part['figures']} for name, part in parts.items()}
    assert figures['losses']['steps compared'] == 20 and figures['resume']['steps compared'] == 10
    assert 3 <= figures['resume']['step from which it went on'] < 10
    step = figures['step']
    assert step['throughput'] > 0 and step['MFU'] > 0 and step['memory'] > 0
    parts_of_memory = ('weights', 'gradients', 'optimiser', 'activations', 'reserved')
    assert sum(step[f'dry run: {part}'] for part in parts_of_memory) == pytest.approx(step['dry run: total'], abs=0.05)
    decode = figures['decode']
    assert decode['decision, median'] > 0 and decode['text token, median'] > 0 and decode['streams heard at once'] == 4
    text = (out / record.TABLE).read_text()
    assert all(name in text for rows in figures.values() for name in rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_done_is_not_done_again(done):
    _, out = done
    before = (out / record.JSON).read_bytes()
    proof, said = prove(runner.begin(out, miniature=True), out)
    assert proof.passed and said == [f'{part.name}: done before, passed' for part in PARTS]
    assert (out / record.JSON).read_bytes() == before


# Parts of a few lines, which do in a moment what real ones do on a bad day.


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no GPU: what a test puts in place is there in the process of a part, too."""
    monkeypatch.setattr(processes, '_method', lambda: 'fork')


def passes(size, folder):
    yield Figure(name='one', value=1.0, at_least=1.0)


def misses(size, folder):
    yield Figure(name='throughput', value=3.0, unit='tokens/s', at_least=4.0)
    yield Figure(name='ratio', value=float('inf'), at_most=1.0)


def fails(size, folder):
    yield Figure(name='before', value=2.0)
    print('it begins')
    raise RuntimeError('no such kernel')


def hangs(size, folder):
    yield Figure(name='before', value=2.0)
    started = subprocess.Popen(['sleep', '600'])
    (folder.parent.parent.parent / 'started').write_text(str(started.pid))
    time.sleep(600)


def dies(size, folder):
    yield Figure(name='before', value=2.0)
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where memory runs out


def proof_of(monkeypatch, *works, budget_s: float = 6.0) -> Proof:
    monkeypatch.setattr(runner, 'PARTS', tuple(Part(work.__name__, 'a test', budget_s, work) for work in works))
    return Proof(
        size='miniature', device='the CPU', gpu_gb=0, versions={}, code={}, wanted=[work.__name__ for work in works]
    )


def prove(proof: Proof, out: Path, limit_s: float = 600.0, only: tuple[str, ...] = ()) -> tuple[Proof, list[str]]:
    said: list[str] = []
    return runner.prove(proof, out, only, limit_s, said.append), said


@pytest.mark.usefixtures('forked')
def test_a_part_that_fails_or_dies_is_named_and_the_others_are_done(monkeypatch, tmp_path):
    proof, said = prove(proof_of(monkeypatch, fails, dies, misses, passes), tmp_path)
    assert {name: part.status for name, part in proof.parts.items()} == {
        'fails': 'failed', 'dies': 'failed', 'misses': 'missed', 'passes': 'passed',
    }  # fmt: skip
    assert proof.parts['fails'].why == 'RuntimeError: no such kernel'
    assert proof.parts['dies'].why == 'its process was ended by SIGKILL'
    assert proof.parts['fails'].log[0] == 'it begins' and 'no such kernel' in proof.parts['fails'].log[-1]
    assert (
        [figure.name for figure in proof.parts['fails'].figures]
        == ['before']
        == [figure.name for figure in proof.parts['dies'].figures]
    )
    assert not proof.passed and record.read(tmp_path) == proof
    text = (tmp_path / record.TABLE).read_text()
    assert text.startswith('GPU proof, miniature size, on the CPU: 1 of 4 parts passed\n')
    assert re.search(r'throughput +3 tokens/s +≥ 4 +MISSED', text) and 'FAILED: RuntimeError: no such kernel' in text
    assert any(line.startswith('dies: failed in') for line in said)


@pytest.mark.usefixtures('forked')
def test_a_part_that_hangs_is_ended_with_all_that_it_started_when_its_time_is_up(monkeypatch, tmp_path):
    proof, _ = prove(proof_of(monkeypatch, hangs, passes, budget_s=0.4), tmp_path)
    assert proof.parts['hangs'].why == 'it took longer than the 4 s that it has'
    assert [figure.name for figure in proof.parts['hangs'].figures] == ['before']
    assert proof.parts['passes'].status == 'passed'
    started = int((tmp_path / 'started').read_text())
    assert not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE


@pytest.mark.usefixtures('forked')
def test_only_what_failed_is_done_again_and_what_has_no_time_left_is_left_for_then(monkeypatch, tmp_path):
    proof = proof_of(monkeypatch, passes, misses, fails)
    proof, _ = prove(proof, tmp_path, only=('passes', 'misses'))
    assert list(proof.parts) == ['passes', 'misses'] and not proof.passed
    late, _ = prove(proof, tmp_path, limit_s=0.0)
    assert late.parts['fails'].why == 'no time was left for it; run the same command again'
    monkeypatch.setattr(runner, 'describe', lambda path: path.write_text('{"name": "the CPU", "bytes": 0}'))
    again = runner.begin(tmp_path, miniature=False)
    assert list(again.parts) == ['passes', 'misses']
    _, said = prove(again, tmp_path)
    assert said[:2] == ['passes: done before, passed', 'misses: done before, missed']
    assert said[2].startswith('fails: a test; 60 s at most')


@pytest.mark.parametrize(
    ('device', 'miniature', 'size'),
    [
        ({'name': 'the CPU', 'bytes': 0}, False, 'miniature'),
        ({'name': 'NVIDIA H100 80GB HBM3', 'bytes': 84_900_000_000}, False, 'full'),
        ({'name': 'NVIDIA H100 80GB HBM3', 'bytes': 84_900_000_000}, True, 'miniature'),
    ],
)
@pytest.mark.usefixtures('forked')
def test_the_size_is_that_of_the_gpu_that_is_there(monkeypatch, tmp_path, device, miniature, size):
    monkeypatch.setattr(runner, 'describe', lambda path: path.write_text(json.dumps(device)))
    assert runner.begin(tmp_path, miniature).size == size


@pytest.mark.usefixtures('forked')
def test_what_cannot_begin_is_one_sentence(monkeypatch, tmp_path):
    small = {'name': 'NVIDIA L4', 'bytes': 24_000_000_000}
    monkeypatch.setattr(runner, 'describe', lambda path: path.write_text(json.dumps(small)))
    with pytest.raises(ProofError, match=r'NVIDIA L4 has 24 GB and the full size needs 80; take a larger GPU, or give'):
        runner.begin(tmp_path / 'small', miniature=False)
    proof_of(monkeypatch).save(tmp_path)
    with pytest.raises(ProofError, match=r'holds a proof of miniature size on the CPU, and this is miniature on N'):
        runner.begin(tmp_path, miniature=True)
    for damaged in ('{"size": "large"}', '[]', '{"passed":'):
        (tmp_path / record.JSON).write_text(damaged)
        with pytest.raises(ProofError, match=r'is no record of a proof \(.*\); give another --out, or remove it'):
            runner.begin(tmp_path, miniature=True)
    (tmp_path / 'file').touch()
    with pytest.raises(ProofError, match=r"file' cannot be made \(.*\); give another --out"):
        runner.begin(tmp_path / 'file', miniature=True)


def test_the_script_says_in_one_line_what_is_not_there(tmp_path):
    for environment, problem in (
        ({'OUT': ''}, 'OUT is not set; say where to write'),
        (
            {'OUT': str(tmp_path), 'PYTHON': '/nowhere/python'},
            "'/nowhere/python' is not there; run tools/setup.sh train",
        ),
    ):
        printed = start_script(**environment)
        assert printed.returncode == 2 and problem in printed.stderr.splitlines()[-1]


def test_a_goal_is_reached_at_its_limit_and_never_by_what_is_no_number():
    assert Figure(name='', value=0.45, at_least=0.45).reached and not Figure(name='', value=0.44, at_least=0.45).reached
    assert Figure(name='', value=3.0, at_most=3.0).reached and not Figure(name='', value=3.1, at_most=3.0).reached
    assert not Figure(name='', value=float('nan'), at_most=3.0).reached
    assert Figure(name='', value=1e9).reached and Figure(name='', value=1e9).goal == ''
    part = PartRecord(status='passed', seconds=1, figures=(Figure(name='MFU', value=0.46, at_least=0.45),))
    proof = Proof(size='full', device='H100', gpu_gb=85, versions={}, code={}, wanted=('step', 'decode'))
    assert not proof.model_copy(update={'parts': {'step': part}}).passed  # the other is not done yet
    lines = table(proof.model_copy(update={'parts': {'step': part}})).splitlines()
    assert lines[0] == 'GPU proof, full size, on H100: 1 of 2 parts passed' and lines[-1].split() == [
        'decode', 'not', 'done', 'yet',
    ]  # fmt: skip


def test_the_full_size_is_the_papers_stage_4_and_fits_a_gpu_of_80_gb_in_twelve_minutes():
    paper, recipe = load_training_recipe(recipe_path('paper')), FULL.stage_4()
    stage, (own,) = paper.stages[3], recipe.stages
    assert own == stage and (recipe.audio, recipe.text, recipe.optimiser) == (paper.audio, paper.text, paper.optimiser)
    assert recipe.max_positions == paper.max_positions
    fits, expected = fitting(recipe, Hardware(1, 80.0))
    assert fits == recipe and 70 < expected['total'] < 80
    fits, expected = fitting(recipe, Hardware(1, 78.0))
    assert (fits.stages[0].batch, fits.stages[0].accumulation) == (1, 32) and expected['total'] < 78
    assert sum(part.budget_s for part in PARTS) <= 12 * 60 - 30  # and what starting them takes
    assert FULL.streams == 64 and FULL.judged and not MINIATURE.judged


def test_every_part_can_be_sent_to_a_process_that_begins_from_nothing_as_cuda_needs_it():
    for part in PARTS:
        assert pickle.loads(pickle.dumps((part, FULL, MINIATURE))) == (part, FULL, MINIATURE)


def test_every_part_is_a_row_of_the_document_that_describes_it():
    page = (ROOT / 'docs' / 'training-at-scale.md').read_text()
    assert re.findall(r'^\| `(\w+)` \| .* \| .* \|$', page, re.MULTILINE)[: len(PARTS)] == [part.name for part in PARTS]


def test_the_command_knows_every_part():
    assert [part.name for part in PARTS] == list(command._PARTS)
