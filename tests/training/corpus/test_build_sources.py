"""A corpus from publishers' corpora: what they hold is said, heard and lies behind, on its side and with its credit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.sources.miniature import json_lines, lengthen
from tests.training.sources.test_audio import audioset
from tests.training.sources.test_noise import wham
from tests.training.sources.test_speech import covost, librispeech
from training.clips.store import ClipStore
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.corpus.report import write_report
from training.corpus.verify import verify
from training.errors import BuildError
from training.streams import Stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HOURS, SEED = 0.25, 5
OTHERS = ('streaming audio understanding', 'following music', 'proactive respond', 'audio agent')
RECIPE = CorpusRecipe(renders=10, held_out_share=0.25, shares=dict.fromkeys(OTHERS, 0.0))


def rooms(root: Path) -> Path:
    """A clip folder with an impulse response for each side."""
    rng = np.random.default_rng(5)
    with_columns = ['path', 'category', 'source', 'source_id', 'respond', 'licence', 'attribution']
    root.mkdir(parents=True)
    with (root / 'manifest.csv').open('w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(with_columns)
        for number in range(12):
            response = rng.normal(0, 0.05, 8_000) * np.exp(-np.arange(8_000) / 1_500)
            response[0] = 1.0
            soundfile.write(root / f'{number}.flac', response / 1.1, 16_000)
            rows.writerow([f'{number}.flac', 'rir', 'Rooms', f'hall {number}', '', 'CC0-1.0', 'measured by nobody'])
    return root


@pytest.fixture(scope='module')
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp('sources')
    questions = ({'question': f'What is {n} plus one?', 'answer': f'It is {n + 1}.'} for n in range(80))
    threads = ({'id': str(n), 'data': ['Hello.', 'Hello!', f'I am {n} years old.', 'So am I.']} for n in range(80))
    json_lines(root / 'fact-qa' / 'fact-qa.jsonl', *questions)
    json_lines(root / 'ultrachat' / 'train_0.jsonl', *threads)
    folders = {
        'librispeech': librispeech(root / 'librispeech'),
        'covost2-en-zh': covost(root / 'covost', 'en', 'zh-CN', 'Good morning.', '早上好。'),
        'wham': wham(root / 'wham'),
        'audioset': audioset(root / 'audioset'),
    }
    lengthen(root, 1.5)
    return folders | {
        'gammacorpus-fact-qa': root / 'fact-qa',
        'ultrachat': root / 'ultrachat',
        'clips': rooms(root / 'rooms'),
    }


def test_it_is_clean_when_verified(corpus: Path) -> None:
    assert verify(corpus).as_dict()['wrong'] == {}


def test_recorded_words_are_written_down_when_they_are_over(corpus: Path, streams: list[Stream]) -> None:
    clips = ClipStore(corpus / 'library' / 'clips')
    heard = [
        (stream, event)
        for stream in streams
        if stream.task in ('dictation', 'captions')
        for event in stream.events
        if event.clip.startswith('librispeech:')
    ]
    assert heard
    for stream, event in heard:
        clip = clips[event.clip]
        assert (event.text, clip.split) == (clip.text, stream.split)
        (reply,) = (reply for reply in stream.replies if reply.onset == event.onset)
        assert (reply.text, reply.due, reply.language) == (clip.text, event.end, 'english')


def test_translated_speech_is_translated(streams: list[Stream]) -> None:
    translated = [
        reply.text
        for stream in streams
        if stream.task == 'en to zh'
        for event in stream.events
        if event.clip.startswith('covost2-en-zh:')
        for reply in stream.replies
        if reply.onset == event.onset
    ]
    assert set(translated) == {'早上好。'}


def test_questions_and_threads_of_others_are_asked_and_answered(streams: list[Stream]) -> None:
    credited = {stream.task: {credit[0] for credit in stream.credits} for stream in streams if stream.credits}
    assert credited == {'fact': {'GammaCorpus-Fact-QA'}, 'multi-turn': {'UltraChat'}}
    sums = [
        (event.text, reply.text)
        for stream in streams
        for event in stream.events
        for reply in stream.replies
        if event.text.endswith('plus one?') and reply.onset == event.onset
    ]
    assert sums
    for question, answer in sums:
        assert answer == f'It is {int(question.split()[2]) + 1}.'


def test_noise_and_measured_rooms_lie_behind_streams_of_their_own_side(corpus: Path, streams: list[Stream]) -> None:
    clips = ClipStore(corpus / 'library' / 'clips')
    behind = [(stream.split, clips[id_]) for stream in streams for id_ in stream.behind]
    assert {'WHAM! noise', 'Rooms', 'procedural'} <= {clip.source for _, clip in behind}
    assert all(clip.split == split for split, clip in behind)


def test_verify_finds_noise_of_the_other_side(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / 'shar').symlink_to(corpus / 'shar')
    (tmp_path / 'library').mkdir()
    (tmp_path / 'library' / 'speech').symlink_to(corpus / 'library' / 'speech')
    clips = tmp_path / 'library' / 'clips'
    clips.mkdir()
    for path in (corpus / 'library' / 'clips').iterdir():
        if path.name.startswith('wham') and path.suffix == '.jsonl':
            rows = path.read_text()
            (clips / path.name).write_text(rows.replace('"split": "train"', '"split": "test"'))
        else:
            (clips / path.name).symlink_to(path)
    assert 'clip of another split' in verify(tmp_path).counts


def test_the_report_credits_everybody(corpus: Path, tmp_path: Path) -> None:
    write_report(corpus, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    for credit in (
        'Panayotov',  # LibriSpeech
        'CoVoST 2 by C. Wang',
        'CC-BY-NC-4.0',  # WHAM!
        'measured by nobody',
        'GammaCorpus Fact QA by R. Roy',
        'UltraChat by N. Ding',
    ):
        assert credit in page


def test_other_sources_do_not_go_on_with_a_corpus(corpus: Path, sources: dict[str, Path]) -> None:
    fewer = {name: folder for name, folder in sources.items() if name != 'wham'}
    with pytest.raises(BuildError, match='other sources'):
        build(RECIPE, fewer, HOURS, SEED, 1, corpus)
