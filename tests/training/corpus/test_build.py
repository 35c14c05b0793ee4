"""A corpus from real clips: the same bytes whoever makes it and however often it is killed, and clean when verified."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clip_library import miniature_clip_library
from training.clips.store import ClipStore
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.corpus.report import write_report
from training.corpus.verify import problems, verify
from training.errors import BuildError
from training.scripts.sampler import all_tasks
from training.scripts.script import taxonomy
from training.streams import read_streams

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
RECIPE = CorpusRecipe(renders=10)
HOURS, SEED = 0.5, 5


@pytest.fixture(scope='module')
def corpus(tmp_path_factory: pytest.TempPathFactory, small_library: Callable[[Path], Path]) -> Path:
    out = small_library(tmp_path_factory.mktemp('corpus'))
    build(RECIPE, {'clips': miniature_clip_library()}, HOURS, SEED, 1, out)
    return out


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / 'shar').iterdir())}


def with_library(corpus: Path, out: Path) -> Path:
    """A new corpus folder that need not make the clips again; speech and everything after it is made anew."""
    shutil.copytree(corpus / 'library' / 'clips', out / 'library' / 'clips')
    return out


def program(out: Path) -> str:
    """The same build in Python, for another process."""
    return (
        'from pathlib import Path; from training.corpus.build import build;'
        'from training.corpus.recipe import CorpusRecipe;'
        f'sources = dict(clips=Path({str(miniature_clip_library())!r}));'
        f'build(CorpusRecipe(renders=10), sources, {HOURS}, {SEED}, 1, Path({str(out)!r}))'
    )


def test_the_corpus_is_clean_has_the_hours_and_every_sub_task(corpus: Path):
    findings = verify(corpus)
    assert findings.as_dict()['wrong'] == {}
    summary = json.loads((corpus / 'index.json').read_text())
    assert summary['hours'] == pytest.approx(HOURS, rel=0.25)
    assert summary['failed'] == 0
    made = {(stream.category, stream.task) for stream, _ in read_streams(corpus, audio=False)}
    assert {category for category, _ in made} == set(taxonomy())
    assert len(made) >= 0.8 * len(all_tasks())  # so few streams need not have drawn them all


def test_two_workers_make_the_same_bytes_as_one(corpus: Path, tmp_path: Path):
    build(RECIPE, {'clips': miniature_clip_library()}, HOURS, SEED, 2, with_library(corpus, tmp_path))
    assert bytes_of(tmp_path) == bytes_of(corpus)


def test_a_ray_cluster_makes_the_same_bytes(corpus: Path, tmp_path: Path):
    pytest.importorskip('ray')
    with_library(corpus, tmp_path)
    cluster = (
        'import os, ray;'
        "started = ray.init('local', num_cpus=2, include_dashboard=False);"
        "os.environ['RAY_ADDRESS'] = started.address_info['gcs_address'];"
    )
    environment = os.environ | {'RAY_USAGE_STATS_ENABLED': '0'}
    subprocess.run([sys.executable, '-c', cluster + program(tmp_path)], env=environment, check=True)
    assert bytes_of(tmp_path) == bytes_of(corpus)


def test_a_build_that_is_killed_goes_on_and_makes_the_same_bytes(corpus: Path, tmp_path: Path):
    with_library(corpus, tmp_path)
    chance = random.Random(4)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, '-c', program(tmp_path)], stderr=subprocess.DEVNULL, start_new_session=True
        )
        # Not before it works at something: at a shard when there is one to come.
        deadline = time.monotonic() + 60
        before = len(list(tmp_path.rglob('*')))
        while process.poll() is None and len(list(tmp_path.rglob('*'))) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 1.0))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    build(RECIPE, {'clips': miniature_clip_library()}, HOURS, SEED, 1, tmp_path)
    left = {name: data for name, data in bytes_of(tmp_path).items() if not name.endswith('.tmp')}
    assert left == bytes_of(corpus)


def test_another_seed_or_recipe_does_not_overwrite_a_corpus(corpus: Path):
    with pytest.raises(BuildError, match='another recipe, seed or length'):
        build(RECIPE, {'clips': miniature_clip_library()}, HOURS, SEED + 1, 1, corpus)


def test_a_corpus_that_was_begun_before_a_recipe_had_some_key_goes_on(corpus: Path, tmp_path: Path):
    begun = tmp_path / 'corpus'
    shutil.copytree(corpus, begun)
    settings = (begun / 'recipe.json').read_text()
    older = settings.replace('"quotations":false,', '').replace('"kokoro_voices":300,', '')
    assert len(older) < len(settings) - 30
    (begun / 'recipe.json').write_text(older)
    build(RECIPE, {'clips': miniature_clip_library()}, HOURS, SEED, 1, begun)
    assert bytes_of(begun) == bytes_of(corpus)
    quoting = RECIPE.model_copy(update={'quotations': True})
    with pytest.raises(BuildError, match='another recipe'):
        build(quoting, {'clips': miniature_clip_library()}, HOURS, SEED, 1, begun)


def test_verify_finds_what_is_wrong(corpus: Path):
    stream, samples = next((s, x) for s, x in read_streams(corpus) if s.replies and x is not None)
    assert problems(stream, samples) == []
    assert 'labels differ from the timeline' in problems(
        stream.model_copy(update={'drains': stream.drains[:-1]}), samples
    )
    assert 'length is not its chunks' in problems(stream, samples[:-1])
    assert 'clipped' in problems(stream, samples / abs(samples).max())
    moved = [reply.model_copy(update={'due': len(samples) + 1}) for reply in stream.replies]
    assert 'reply to nothing that sounds' in problems(stream.model_copy(update={'replies': tuple(moved)}), samples)


def test_validation_and_test_share_no_recording_and_no_voice_with_training(corpus: Path):
    sides: dict[str, set[str]] = {}
    for folder in ('clips', 'speech'):
        for clip in ClipStore(corpus / 'library' / folder).clips:
            sides.setdefault(clip.recording, set()).add(clip.split)
    assert not [recording for recording, splits in sides.items() if len(splits) > 1]


def test_the_report_shows_figures_licences_and_ten_streams_that_play(corpus: Path, tmp_path: Path):
    headline = write_report(corpus, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    assert page.count('<audio') == page.count('<article') == 10
    assert 'CC-BY' in page and f'hours {headline["hours"]}' in page
    assert 'http://' not in page.split('<h2>Licences')[0]  # nothing is loaded from elsewhere
    assert 0.5 < float(str(headline['silence_share'])) < 1.0
