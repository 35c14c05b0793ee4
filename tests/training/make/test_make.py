"""From a recipe to a checkpoint with its card by one command, which goes on after any interruption."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from tests.clip_library import miniature_clip_library
from tests.training.stages import micro
from training import provenance
from training.__main__ import main
from training.corpus.build import index
from training.make import MakeError
from training.make.steps import Wanted, make, steps_of
from training.make.work import Work

CODE = {'commit': 'c0ffee', 'changed': False}


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    corpus = micro.write_corpus(tmp_path / 'corpus')
    index(corpus)
    recipe = micro.write_recipe(tmp_path / 'micro.yaml', steps=1)
    card = ('--without', 'corpus', '--without', 'demo', '--without', 'sessions')
    return Wanted(recipe, tmp_path / 'made', tmp_path / 'work', (), (), (), corpus, card=card)


def test_the_steps_are_the_commands_that_anyone_can_run(tmp_path):
    recipe = micro.recipe(init='whisper-tiny', log_mel='running_maximum')
    sources = ('--clips', 'a', '--clips', 'b')
    steps = list(steps_of(Wanted(Path('r.yaml'), Path('out'), Path('work'), sources, part=Path('tiny.pt')), recipe))
    assert [' '.join(step.arguments) for step in steps] == [
        'parts whisper-tiny=tiny.pt --out parts',
        'corpus build --recipe r.yaml --clips a --clips b --out work/corpus',
        'train --recipe r.yaml --corpus work/corpus --run work/run --out out',
        'card out --corpus work/corpus --run work/run --out work/card',
    ]
    without = list(steps_of(Wanted(Path('r.yaml'), Path('out'), Path('work'), corpus=Path('c')), micro.recipe()))
    assert [step.name for step in without] == ['train', 'card']


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a free machine
def test_one_command_trains_measures_and_says_what_made_the_checkpoint(wanted, capfd):
    assert make(wanted, 0.0) == {'finished': False, 'step': 'train', 'work': str(wanted.work)}
    stopped = make(wanted, 0.01)  # a stage at a time, as train does
    assert stopped == {'finished': False, 'step': 'train', 'work': str(wanted.work)}
    assert not wanted.out.exists()
    done = make(wanted)
    assert done['finished'] and set(done['minutes']) == {'train', 'card'}
    load_encoder(wanted.out), load_decoder(wanted.out)  # neither reads the provenance
    made = provenance.read(wanted.out)
    assert made['recipe'] == 'micro' and made['code'] == [provenance.code()]
    assert list(made['stages']) == ['format', 'adapter', 'core', 'interaction']
    assert made['corpus']['streams'] == 40
    card = (wanted.out / 'README.md').read_text()
    assert 'one core: times real time' in card and '| interaction ' in card and 'CC0-1.0' in card
    capfd.readouterr()
    again = make(wanted)
    assert again == done
    said = capfd.readouterr().err.splitlines()
    assert said == ['make: 1 of 2: train is done', 'make: 2 of 2: card is done']


def test_a_step_that_fails_is_named_and_not_taken_for_done(wanted):
    (wanted.corpus / 'shar' / 'cuts.000000.jsonl.gz').write_bytes(b'damaged')
    with pytest.raises(MakeError, match=r'train ended with exit code \d, for the reason above; mend it'):
        make(wanted)
    assert json.loads((wanted.work / 'make.json').read_text())['steps']['train']['result'] is None


def test_other_recordings_in_the_same_folder_are_refused_by_what_changed(tmp_path):
    one = [provenance.library(miniature_clip_library())]
    assert len(one[0]['manifest_sha256']) == 64
    Work(tmp_path, {'libraries': one}, CODE)
    Work(tmp_path, {'libraries': one}, CODE)
    with pytest.raises(MakeError, match='holds what was made of other libraries; give those again'):
        Work(tmp_path, {'libraries': [one[0] | {'manifest_sha256': 'another'}]}, CODE)


def test_every_state_of_the_code_that_had_a_hand_in_it_is_kept(tmp_path):
    later = CODE | {'commit': 'decaf'}
    for code in (CODE, CODE, later):
        work = Work(tmp_path, {}, code)
    assert work.code == [CODE, later]


def test_two_do_not_work_in_one_folder(wanted):
    wanted.work.mkdir()
    with (wanted.work / 'make.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(MakeError, match='another process is making a checkpoint in'):
            make(wanted)


def test_a_corpus_that_is_there_is_not_built_from_something_else(tmp_path, capsys):
    folders = ['--out', str(tmp_path / 'out'), '--work', str(tmp_path / 'work')]
    assert main(['make', 'embedded', '--corpus', str(tmp_path), '--hours', '2', *folders]) == 2
    assert 'leave out --source, --hours and --seed, or --corpus' in capsys.readouterr().err
