"""What a run needs is made once from a corpus, by whichever way it got its tokenizer, and kept as it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audio_interaction_ros.audio.logmel import CausalLogMel
from tests.training.stages import micro
from training.recipe import TrainingRecipe
from training.stages import index
from training.stages.collator import StreamCollator
from training.stages.distributed import Devices
from training.stages.model import build
from training.stages.preparation import Files, Prepared, prepare
from training.stages.stream_task import StreamTask

ALONE = Devices(0, 1, torch.device('cpu'))
NUMBERS = {'steps': 100, 'batch': 6, 'learning_rate': 1e-3, 'event_weight': 1.0}
# What version 3 of the checkpoint that ships was trained by, in its small.
STAGES = (
    {'name': 'format', 'trainable': ['lm_head', 'embeddings'], 'data': {'form': 'offline'}},
    {
        'name': 'core', 'trainable': ['language_model'], 'spec_augment': True,
        'data': {
            'form': 'online', 'late_share': 0.35, 'noise_share': 0.4,
            'categories': [
                'real-time ASR', 'streaming translation', 'voice chatting', 'streaming audio understanding',
            ],
        },
    },
    {
        'name': 'interaction', 'trainable': ['language_model'], 'spec_augment': True,
        'data': {'form': 'online', 'late_share': 0.35, 'noise_share': 0.5, 'quiet_share': 0.4, 'slip_share': 0.4},
    },
)  # fmt: skip
RECIPE = TrainingRecipe.model_validate(
    micro.RECIPE | {'seed': 7, 'vocabulary_size': 1024, 'stages': [stage | NUMBERS for stage in STAGES]}
)
# Of every stage's first and last step: the digest of all that is whole numbers or shares, and the sum of all samples'
# magnitudes, as they were when it was trained.
BATCHES = {
    'format': ('fc78d92d33ebbf2e', 17_960.475),
    'core': ('337ea232cff543bb', 74_400.771),
    'interaction': ('a8cc28996dc8fa32', 70_408.496),
}


@pytest.fixture(scope='module')
def prepared(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Prepared]:
    files = Files(Path(), corpus, tmp_path_factory.mktemp('prepared') / 'run', None, None)
    return files, prepare(RECIPE, files, None, ALONE)


def batches(made: Prepared, number: int) -> tuple[str, float]:
    stage = RECIPE.stages[number - 1]
    collator = StreamCollator(made.dataset, stage.data, made.tokenizer, made.protocol, RECIPE.instruction, made.classes)
    network = build(RECIPE, made.tokenizer.get_vocab_size(), len(made.classes))
    task = StreamTask(RECIPE, number, network, CausalLogMel(16), collator, ALONE)
    digest, magnitudes = hashlib.sha256(), 0.0
    for step in (0, stage.steps - 1):
        for batch in task.read(step):
            for field in fields(batch):
                values = getattr(batch, field.name).numpy()
                if field.name == 'waveforms':  # filters differ in the last bit from one computer to the next
                    magnitudes += float(np.abs(values.astype(np.float64)).sum())
                else:
                    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16], magnitudes


@pytest.mark.parametrize('stage', BATCHES)
def test_every_step_has_the_batches_it_had_when_the_checkpoint_that_ships_was_trained(prepared, stage):
    digest, magnitudes = batches(prepared[1], list(BATCHES).index(stage) + 1)
    assert digest == BATCHES[stage][0]
    assert magnitudes == pytest.approx(BATCHES[stage][1], rel=1e-5)


def test_a_folder_of_an_older_version_is_prepared_again_with_its_tokenizer_and_classes(prepared, tmp_path):
    files, made = prepared
    older = replace(files, run=shutil.copytree(files.run, tmp_path / 'run'))
    settings = json.loads((older.run / 'run.json').read_text())
    for stage in settings['recipe']['stages']:
        del stage['data']['silent_share']
    (older.run / 'run.json').write_text(json.dumps(settings))
    (older.run / 'event-classes.json').write_text('["high tone", "low tone"]')
    for path in (older.run / 'index').glob('*.npy'):
        rows = np.load(path)
        names = [name for name in rows.dtype.names if not name.startswith('plain')]
        np.save(path, rows[names].astype([(name, rows.dtype[name]) for name in names]))
        path.with_suffix('.json').unlink()
    again = prepare(RECIPE, older, None, ALONE)
    np.testing.assert_array_equal(again.dataset.rows, made.dataset.rows)
    assert again.classes == ['high tone', 'low tone']
    assert again.tokenizer.to_str() == made.tokenizer.to_str()


def test_with_a_tokenizer_at_hand_the_corpus_is_read_once(prepared, tmp_path, monkeypatch):
    files, made = prepared
    opened: Counter[str] = Counter()

    def counted(path, *arguments):
        opened[Path(path).name] += 1
        return gzip_open(path, *arguments)

    gzip_open = gzip.open
    monkeypatch.setattr(index.gzip, 'open', counted)
    started = Files(Path(), files.corpus, tmp_path / 'run', None, files.run)  # which has tokenizer and protocol
    again = prepare(RECIPE, started, None, ALONE)
    assert opened == {'cuts.000000.jsonl.gz': 1, 'cuts.000001.jsonl.gz': 1}
    assert again.classes == made.classes == sorted(micro.HERTZ)
    np.testing.assert_array_equal(again.dataset.rows, made.dataset.rows)
    assert sorted(path.name for path in started.run.iterdir()) == sorted(path.name for path in files.run.iterdir())


def test_streams_that_cannot_be_written_are_said(prepared, tmp_path, capsys):
    files, _ = prepared
    corpus = shutil.copytree(files.corpus, tmp_path / 'corpus')
    path = corpus / 'shar' / 'cuts.000000.jsonl.gz'
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for row in rows[:5]:
        row['custom']['stream']['instruction'] = 'Say <|eos|>.'
    path.write_bytes(gzip.compress(''.join(json.dumps(row) + '\n' for row in rows).encode()))
    made = prepare(RECIPE, replace(files, corpus=corpus, run=tmp_path / 'run'), None, ALONE)
    assert made.left_out == 5 and len(made.dataset.rows) == 35
    said = capsys.readouterr().err
    assert "left out, 5 streams: stream-00000000: the tokenizer cannot write 'Say <|eos|>.'" in said
    assert 'stream-00000004' in said and 'stream-00000006' not in said and 'and 2 more' in said
