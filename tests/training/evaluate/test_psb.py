"""`evaluate psb`: all rows are written for the public evaluator, audio or none; events in a row are kept apart."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.file_reader import read_recording
from tests.training.evaluate.streams import heard
from training.__main__ import main
from training.evaluate import psb
from training.evaluate.psb import EVENTS_A_STREAM, Row, find_audio, groups, judge_stream, lay_out, load_rows

NOISE = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)


def row(number: int, decision: str, sub_category: str = 'Vehicle', domain: str = 'Traffic') -> dict:
    path = f'./proactive-sound-effect/{domain}/{sub_category}/{decision}/{number:08x}.wav'
    return {'id': f'{number:08x}', 'path': path, 'description': f'sound {number}', 'decision': decision}


ROWS = [row(n, 'RESPOND' if n % 3 == 0 else 'IGNORE', 'Vehicle' if n < 6 else 'Traffic') for n in range(11)]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / 'benchmark.jsonl'
    path.write_text(''.join(json.dumps(r) + '\n' for r in ROWS))
    return path


def give(folder: Path, rows: list[dict], flat: bool = False) -> Path:
    for r in rows:
        path = folder / (Path(r['path']).name if flat else r['path'])
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, NOISE, 16_000)
    return folder


def test_all_rows_are_written_and_those_without_audio_as_ignore(tmp_path, manifest, listener_folder, capsys):
    audio = give(tmp_path / 'audio', ROWS[:6])
    out, page = tmp_path / 'out.jsonl', tmp_path / 'page.html'
    arguments = ['--audio', str(audio), '--manifest', str(manifest), '--out', str(out), '--report', str(page)]
    assert main(['evaluate', 'psb', *arguments, '--checkpoint', listener_folder]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line['id'] for line in lines] == [r['id'] for r in ROWS]
    silent = '<Decision>IGNORE</Decision><Reply></Reply>'
    assert [line['_raw_reply'] for line in lines[6:]] == [silent] * 5
    for line in lines:
        assert line['_raw_reply'] == silent or line['_raw_reply'].startswith('<Decision>RESPOND</Decision><Reply>')
    assert (figures['rows'], figures['rows_without_audio'], figures['trials']) == (11, 5, 6)
    right = [
        ('RESPOND' in line['_raw_reply']) == (r['decision'] == 'RESPOND') for line, r in zip(lines, ROWS, strict=True)
    ]
    assert figures['accuracy_of_all_rows'] == pytest.approx(np.mean(right), abs=1e-4)
    assert figures['accuracy'] == pytest.approx(np.mean(right[:6]), abs=1e-4)
    assert figures['accuracy_if_always_silent'] == pytest.approx(7 / 11, abs=1e-4)
    assert figures['multiple']['trials'] == 6
    assert list(figures['per_category']) == ['Vehicle'] and page.read_text().count('<audio') == 6


def test_files_that_cannot_be_read_count_as_rows_without_audio_and_are_told_in_a_line_each(
    tmp_path, manifest, listener_folder, capsys
):
    audio = give(tmp_path / 'audio', ROWS[:4])
    (audio / ROWS[0]['path']).write_text('no sound')
    cut = audio / ROWS[1]['path']
    cut.write_bytes(cut.read_bytes()[:20_000])
    arguments = ['--audio', str(audio), '--manifest', str(manifest), '--out', str(tmp_path / 'out.jsonl')]
    arguments += ['--report', str(tmp_path / 'page.html'), '--checkpoint', listener_folder]
    assert main(['evaluate', 'psb', *arguments]) == 3
    said, told = capsys.readouterr()
    figures = json.loads(said.splitlines()[-1])
    assert (figures['trials'], figures['rows_without_audio']) == (3, 8)
    assert (figures['unreadable'], figures['damaged']) == (1, 1)
    told = [line for line in told.splitlines() if 'python -m training: ' in line]
    lines = sorted(told, key=lambda line: 'is damaged' in line)
    assert 'cannot be read as audio' in lines[0] and 'is damaged after 0.6 s' in lines[1] and len(lines) == 2


def test_each_file_is_decoded_once_for_both_tiers(tmp_path, manifest, listener_folder, capsys, monkeypatch):
    decoded = Counter()
    monkeypatch.setattr(
        psb, 'read_recording', lambda path, *more: decoded.update([path]) or read_recording(path, *more)
    )
    monkeypatch.setattr(psb, 'ten', lambda items, wrong: [])  # those that the page shows are read once more
    arguments = ['--audio', str(give(tmp_path / 'audio', ROWS[:6])), '--manifest', str(manifest)]
    arguments += ['--out', str(tmp_path / 'out.jsonl'), '--checkpoint', listener_folder]
    assert main(['evaluate', 'psb', *arguments]) == 0
    assert set(decoded.values()) == {1} and len(decoded) == 6


def test_audio_is_found_under_its_path_or_by_its_name(tmp_path, manifest):
    rows = load_rows(manifest)
    assert set(find_audio(rows, give(tmp_path / 'a', ROWS))) == {r['id'] for r in ROWS}
    assert set(find_audio(rows, give(tmp_path / 'b', ROWS[:3], flat=True))) == {r['id'] for r in ROWS[:3]}


def test_the_multiple_tier_takes_every_event_once_with_others_of_its_sub_category():
    rows = [Row(**r) for r in ROWS]
    streams = dict(groups(rows, seed=2))
    assert Counter(r.id for group in streams.values() for r in group) == Counter(r.id for r in rows)
    assert all(
        len({r.sub_category for r in group}) == 1 and len(group) <= EVENTS_A_STREAM for group in streams.values()
    )
    assert streams == dict(groups(rows, seed=2))


def test_events_in_a_row_are_judged_each_by_what_is_said_in_its_own_time():
    first, second = Row(**ROWS[0]), Row(**ROWS[1])  # RESPOND, IGNORE
    samples, placed = lay_out([(first, NOISE), (second, NOISE)], seed=1)
    assert placed[0].onset == 12_800 and placed[0].end - placed[0].onset == 16_000
    assert placed[0].deadline <= placed[1].onset  # no answer belongs to two
    assert np.abs(samples[: placed[0].onset]).max() < 0.01
    chunk_in_first = placed[0].end // 6_400
    trials, _ = judge_stream(heard({chunk_in_first: 'Watch out!'}), placed, 'unit')
    assert [(t.respond, t.answered) for t in trials] == [(True, True), (False, False)]
    trials, _ = judge_stream(heard({placed[1].end // 6_400: 'Watch out!'}), placed, 'unit')
    assert [(t.respond, t.answered) for t in trials] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'is empty'),
        ('{"id": "x"}\n', "is not the benchmark's manifest"),
        ('hello\n', "is not the benchmark's manifest"),
    ],
)
def test_another_file_in_place_of_the_manifest_is_one_sentence(tmp_path, listener_folder, capsys, text, sentence):
    (tmp_path / 'm.jsonl').write_text(text)
    arguments = ['--audio', str(tmp_path), '--manifest', str(tmp_path / 'm.jsonl'), '--checkpoint', listener_folder]
    assert main(['evaluate', 'psb', *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_without_the_audio_is_one_sentence(tmp_path, manifest, listener_folder, capsys):
    for folder, sentence in ((tmp_path / 'nowhere', 'no folder'), (tmp_path, 'holds none of the 11 files')):
        arguments = ['--audio', str(folder), '--manifest', str(manifest), '--checkpoint', listener_folder]
        assert main(['evaluate', 'psb', *arguments]) == 2
        assert sentence in capsys.readouterr().err
