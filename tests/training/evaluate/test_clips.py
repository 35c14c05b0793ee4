"""`evaluate clips`: its figures are those of a loop over the session by hand, and no threshold is tuned on them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.streaming.loop import Decision, Response, listen
from training.__main__ import main
from training.evaluate.clip_sets import ClipSet, Scored, open_libraries, whole_sets
from training.evaluate.clips import cross_fitted_thresholds, evaluate_clips, halves
from training.evaluate.hearing import NEVER, Listener
from training.evaluate.ordinary import ordinary_audio
from training.evaluate.trials import Trial
from training.metrics import best_threshold
from training.procedural.registry import render
from training.render.one_clip import one_clip_stream

KINDS = {
    'siren_wail': ('siren', '1'),
    'co_alarm_t4': ('smoke alarm', '1'),
    'knocks': ('knocking', '0'),
    'rain': ('rain', '0'),
}
SEED = 3


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two renders of each kind."""
    out = tmp_path_factory.mktemp('clips')
    with (out / 'manifest.csv').open('w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['path', 'category', 'respond'])
        for name, (category, respond) in KINDS.items():
            for take in range(2):
                samples = render(name, np.random.default_rng([7, take]))
                soundfile.write(out / f'{name}-{take}.wav', samples[: 3 * 16_000], 16_000)
                table.writerow([f'{name}-{take}.wav', category, respond])
    return out


@pytest.fixture(scope='module')
def clips(folder: Path) -> ClipSet:
    (found,), left_out = whole_sets(open_libraries([folder]))
    assert not left_out
    return found


@pytest.fixture(scope='module')
def sounds(clips: ClipSet) -> tuple[Scored, ...]:
    return clips.sounds


def test_the_figures_are_those_of_a_loop_by_hand(listener: Listener, clips: ClipSet, sounds: tuple[Scored, ...]):
    figures = evaluate_clips(listener, [clips], [], [], 24.0, SEED).figures
    answered, scores, latencies_s = [], [], []
    for number, scored in enumerate(sounds):
        sound = scored.sound
        stream = one_clip_stream(sound, number, SEED)
        said = [
            (e.decision.chunk.index + 1) * 0.4 - stream.onset / 16_000
            for e in listen(listener.encoder, listener.decoder, stream.samples)
            if isinstance(e, Response) and e.final and e.decision.chunk.index in stream.answer_chunks
        ]
        answered.append(bool(said))
        latencies_s += said[:1] if sound.respond else []
        scores.append(
            max(
                e.probability
                for e in listen(listener.encoder, listener.decoder, stream.samples, NEVER)
                if isinstance(e, Decision) and e.chunk.index in stream.answer_chunks
            )
        )
    recall, alarms = np.mean(answered[:4]), np.mean(answered[4:])
    assert figures['recall'] == pytest.approx(recall, abs=1e-4)
    assert figures['false_positive_rate'] == pytest.approx(alarms, abs=1e-4)
    assert figures['balanced_accuracy'] == pytest.approx((recall + 1 - alarms) / 2, abs=1e-4)
    assert figures['onset_to_response_s'] == (pytest.approx(np.median(latencies_s), abs=1e-4) if latencies_s else None)
    pairs = [(p > n) + (p == n) / 2 for p in scores[:4] for n in scores[4:]]
    assert figures['auc'] == pytest.approx(np.mean(pairs), abs=1e-3)
    sides = halves(sounds)
    false = 0
    for side in (0, 1):
        benign = tuple(s for s in sounds if not s.sound.respond and sides[s.recording] == side)
        audio = ordinary_audio([ClipSet('benign', None, benign)], 12.0, SEED + side)
        heard = listen(listener.encoder, listener.decoder, audio.samples)
        false += sum(isinstance(e, Response) and e.final for e in heard)
    assert figures['false_alarms_per_hour'] == pytest.approx(false / 24.0 * 3_600, abs=0.1)
    assert 0 < sum(answered) < 8 or false  # something was said, or all this says nothing


def test_each_half_is_judged_with_the_threshold_that_the_other_chose():
    trials = [
        Trial(f'{category}{n}', category, category == 'siren', False, score=score)
        for category, scores in (('siren', (0.9, 0.6, 0.8, 0.7)), ('rain', (0.1, 0.5, 0.2, 0.3)))
        for n, score in enumerate(scores)
    ]
    sides = {trial.unit: int(trial.unit[-1]) % 2 for trial in trials}
    odd = [trial for trial in trials if sides[trial.unit] == 1]
    first, _ = cross_fitted_thresholds(trials, sides)
    assert first == best_threshold([t.respond for t in odd], [t.score for t in odd], 2.0)
    assert cross_fitted_thresholds([t for t in trials if t.respond], sides) is None


def test_both_halves_have_every_category_and_no_recording_is_on_both(sounds: tuple[Scored, ...]):
    sides = halves(sounds)
    assert len(sides) == 8
    for category in {scored.sound.category for scored in sounds}:
        assert {sides[scored.recording] for scored in sounds if scored.sound.category == category} == {0, 1}


def test_another_snr_changes_the_noise_and_nothing_else(sounds: tuple[Scored, ...]):
    first = sounds[0].sound
    drawn, at_5_db = one_clip_stream(first, 0, SEED), one_clip_stream(first, 0, SEED, snr_db=5.0)
    assert (drawn.onset, drawn.deadline) == (at_5_db.onset, at_5_db.deadline)
    lead = slice(0, drawn.onset)
    louder_db = 10 * np.log10(np.square(at_5_db.samples[lead]).mean() / np.square(drawn.samples[lead]).mean())
    assert louder_db == pytest.approx(drawn.snr_db - 5.0, abs=0.01)


@pytest.mark.parametrize('named', ['folder', 'file'])
def test_the_command_prints_its_json_last_and_writes_a_page(
    folder: Path, listener_folder: str, tmp_path, capsys, named
):
    page = tmp_path / 'pages' / 'clips.html'
    given = folder if named == 'folder' else folder / 'manifest.csv'
    arguments = ['evaluate', 'clips', str(given), '--checkpoint', listener_folder, '--ordinary-s', '12', '--snr', '10']
    assert main([*arguments, '--report', str(page), '--seed', str(SEED)]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    wanted = {'balanced_accuracy', 'recall', 'false_positive_rate', 'false_alarms_per_hour', 'onset_to_response_s'}
    assert wanted | {'per_category', 'confidence_95', 'cross_fitted'} <= set(figures)
    assert figures['by_snr']['10']['trials'] == 8
    text = page.read_text()
    assert text.count('<audio') == text.count('<article') == 8  # there are no more than eight clips
    assert 'Detection error trade-off' in text and 'From onset to response' in text
    assert not re.search(r'(src|href)="(?!data:|#)|url\((?!#)|@import|<script|<link', text)  # nothing from elsewhere
    with Path(figures['table']).open() as file:
        rows = list(csv.DictReader(file))
    assert figures['table'] == str(page.with_suffix('.csv')) and len(rows) == 16  # as drawn, and at 10 dB
    drawn = [row for row in rows if row['noise'] == 'drawn']
    assert np.mean([row['answered'] == '1' for row in drawn if row['respond'] == '1']) == figures['recall']
    assert all(bool(row['said']) == bool(row['onset_to_response_s']) for row in rows)
    assert len({row['probability'] for row in rows}) > 2 and all(0 < float(row['probability']) < 1 for row in rows)
    false = Path(figures['false_responses']).read_text()
    count = sum(figures['ordinary_sound'][folder.name]['texts'].values())
    assert false.count('<audio') == false.count('class="chances"') == count


def test_the_file_that_is_given_is_what_is_scored(folder: Path, listener_folder: str, tmp_path: Path, capsys):
    shutil.copytree(folder, tmp_path / 'clips')
    some = tmp_path / 'clips' / 'sirens.csv'
    some.write_text('path,category,respond\nsiren_wail-0.wav,siren,1\nknocks-0.wav,knocking,0\nrain-0.wav,rain,\n')
    arguments = ['evaluate', 'clips', str(some), '--checkpoint', listener_folder, '--ordinary-s', '0', '--snr']
    assert main([*arguments, '--report', str(tmp_path / 'page.html')]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['trials'] == 2 and list(figures['sets']) == ['sirens']
    assert figures['left_out'] == {'rain': 1}  # an empty respond: it depends
    with (tmp_path / 'page.csv').open() as file:
        last = list(csv.DictReader(file))[-1]
    assert (last['file'], last['left_out']) == ('rain-0.wav', 'respond is empty: it depends')
    assert figures['per_category']['siren']['false_positive_rate'] is None  # nothing to measure
    assert figures['false_alarms_per_hour'] is None and figures['hours_listened'] == 0.0


def test_files_that_cannot_be_read_end_nothing_and_are_told_in_a_line_each(
    folder: Path, listener_folder: str, tmp_path: Path, capsys
):
    names = ('rain-0.wav', 'siren_wail-0.wav', 'text.wav', 'cut.wav', 'missing.wav')
    for name in names[:2]:
        shutil.copy(folder / name, tmp_path / name)
    (tmp_path / 'text.wav').write_text('no sound')
    whole = (folder / 'rain-1.wav').read_bytes()
    (tmp_path / 'cut.wav').write_bytes(whole[: len(whole) // 2])
    rows = [f'{name},{"siren" if "siren" in name else "rain"},{int("siren" in name)}' for name in names]
    (tmp_path / 'manifest.csv').write_text('\n'.join(['path,category,respond', *rows]))
    arguments = ['evaluate', 'clips', str(tmp_path), '--checkpoint', listener_folder, '--snr', '--ordinary-s', '0']
    assert main([*arguments, '--report', str(tmp_path / 'page.html')]) == 3
    said, told = capsys.readouterr()
    figures = json.loads(said.splitlines()[-1])
    assert (figures['trials'], figures['unreadable'], figures['damaged']) == (3, 2, 1)
    lines = [line for line in told.splitlines() if 'python -m training: ' in line]
    assert [next(name for name in names if name in line) for line in lines] == list(names[2:])
    assert 'is damaged after 1.5 s' in lines[1]


def test_a_page_that_cannot_be_written_is_said_before_anything_is_heard(folder: Path, tmp_path: Path, capsys):
    (tmp_path / 'file').write_text('in the way')
    arguments = ['evaluate', 'clips', str(folder), '--checkpoint', str(tmp_path / 'no checkpoint'), '--report']
    assert main([*arguments, str(tmp_path / 'file' / 'page.html')]) == 2
    assert "page.html' cannot be written" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path)]) == 2
    assert 'Is a directory' in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / 'new' / 'folder' / 'page.html')]) == 2
    assert 'no checkpoint' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['file']  # the try left nothing behind


@pytest.mark.parametrize(
    ('manifest', 'sentence'),
    [
        (None, 'no clip library at'),
        ('path\na.wav\n', r"lacks the columns \['category'\]"),
        ('path,category,respond\na.wav,siren,yes\n', "respond = 'yes'"),
        ('path,category\na.wav,siren\n', 'a.wav'),
        ('path,category\n', 'lacks the columns'),
    ],
    ids=['no folder', 'no category', 'not 0 or 1', 'no audio file', 'no rows'],
)
def test_wrong_input_is_one_sentence(tmp_path: Path, listener_folder: str, capsys, manifest: str | None, sentence: str):
    import re

    if manifest is not None:
        (tmp_path / 'manifest.csv').write_text(manifest)
    assert main(['evaluate', 'clips', str(tmp_path), '--checkpoint', listener_folder]) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith('python -m training: ') and re.search(sentence, complaint)


def test_clips_that_cannot_be_scored_and_devices_that_are_not_there_are_one_sentence(tmp_path, listener_folder, capsys):
    soundfile.write(tmp_path / 'a.wav', np.ones(16_000, np.float32) * 0.1, 16_000)
    (tmp_path / 'manifest.csv').write_text('path,category\na.wav,mystery\n')
    assert main(['evaluate', 'clips', str(tmp_path), '--checkpoint', listener_folder]) == 2
    assert 'no clip can be scored (1 left out' in capsys.readouterr().err
    assert main(['evaluate', 'clips', str(tmp_path), '--device', 'abacus']) == 2
    assert "--device 'abacus' cannot be used" in capsys.readouterr().err
