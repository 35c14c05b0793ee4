"""`evaluate field`: four scenes against their labels, beside a twin of each recording, and what bad folders get."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.matching import SceneEvent
from tests.bag_of_sound import s16_messages, write_bag
from tests.training.evaluate.streams import heard
from training.__main__ import main
from training.evaluate import EvaluationError
from training.evaluate.bag import score
from training.evaluate.clip_sets import open_libraries
from training.evaluate.hearing import Heard, Listener
from training.field.evaluation import HeardRecording, field_rates, silence_correlation
from training.field.hearing import CheckpointEars, Timed, Written, hear, silence_rates, write_down
from training.field.inside import chosen_windows, true_replies
from training.field.recordings import FieldRecording, find_recordings, read_field_recording
from training.field.twins import TwinMaker

SOUND = np.random.default_rng(3).normal(0, 0.05, 30 * CHUNK_SAMPLES).astype(np.float32)
LABELS = 'onset_s,end_s,category,respond,text\n2.0,3.5,glass breaking,1,\n6,8,speech,0,the kettle is on\n'


def event(onset_s: float, end_s: float, category: str, hazard: bool = True, text: str = '') -> SceneEvent:
    return SceneEvent(onset_s=onset_s, end_s=end_s, category=category, hazard=hazard, text=text)


def recording(*events: SceneEvent, scene: str = 'home', samples: np.ndarray = SOUND) -> FieldRecording:
    return FieldRecording(scene, f'{scene}/one', samples, events)


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """A bag of a kitchen, and a file of a train."""
    folder = tmp_path / 'field'
    (folder / 'home').mkdir(parents=True)
    (folder / 'commute').mkdir()
    write_bag(folder / 'home' / 'kitchen', s16_messages(SOUND, 16_000), PcmFormat(16_000, 1, 'S16LE'))
    (folder / 'home' / 'kitchen.csv').write_text(LABELS)
    soundfile.write(folder / 'commute' / 'train.wav', SOUND[:64_000], SAMPLE_RATE_HZ)
    (folder / 'commute' / 'train.csv').write_text('onset_s,end_s,category,respond,text\n')
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of one held-out glass."""
    folder = tmp_path / 'library'
    folder.mkdir()
    soundfile.write(folder / 'glass.wav', SOUND[:16_000] * np.hanning(16_000), SAMPLE_RATE_HZ)
    (folder / 'manifest.csv').write_text(
        'path,category,source,source_id,fold,licence,attribution,respond\n'
        'glass.wav,glass breaking,own,g1,4,CC0-1.0,me,1\n'
    )
    return folder


def test_the_command_hears_every_scene_and_its_twin_and_prints_its_json_last(
    field: Path,
    library: Path,
    listener_folder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    page = tmp_path / 'field.html'
    arguments = ['--clips', str(library), '--windows', '1', '--checkpoint', listener_folder, '--report', str(page)]
    assert main(['evaluate', 'field', str(field), *arguments]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found['scenes']) == ['home', 'commute']
    home = found['scenes']['home']
    assert home['real']['trials'] == 2 and home['synthetic']['trials'] == 2
    assert home['real']['words'] == 4 and home['real']['wer'] is not None
    assert found['scenes']['commute']['real']['trials'] == 0
    assert found['false_responses'] == sum(scene['real']['false_responses'] for scene in found['scenes'].values())
    assert found['silence_correlation']['bins'] == 6 + 2
    for measure in ('continuity_ratio', 'head_importance'):
        assert found[measure]['real'] and found[measure]['synthetic']
    shown = page.read_text()
    assert 'home, synthetic' in shown and 'the kettle is on' in shown and shown.count('<audio') == 2


def test_a_recording_is_what_the_bag_has_with_labels_and_words(field: Path):
    (scene, path), second = find_recordings(field)
    assert (scene, path.name, second[1].name) == ('home', 'kitchen', 'train.wav')
    kitchen = read_field_recording(scene, path)
    assert kitchen.name == 'home/kitchen' and kitchen.chunks == 30
    np.testing.assert_allclose(kitchen.samples, SOUND, atol=1e-4)
    assert [one.text for one in kitchen.spoken] == ['the kettle is on']


@pytest.mark.parametrize(
    ('harm', 'sentence'),
    [
        (lambda folder: (folder / 'kitchen').mkdir(), "'kitchen', which is no scene"),
        (lambda folder: (folder / 'commute' / 'train.csv').unlink(), 'audio-interaction label'),
        (lambda folder: (folder / 'commute' / 'train.csv').write_text(LABELS.replace('6,8', '60,80')), 'after the end'),
        (lambda folder: (folder / 'commute' / 'train.csv').write_text(LABELS.replace('6,8', '6,x')), 'line 3'),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(field: Path, harm, sentence: str):
    harm(field)
    with pytest.raises(EvaluationError, match=sentence):
        for scene, path in find_recordings(field):
            read_field_recording(scene, path)


def test_a_twin_has_the_labels_the_levels_and_the_words_of_its_recording(library: Path):
    loud = SOUND.copy()
    loud[64_000:80_000] *= 10.0
    real = recording(
        event(4.0, 5.0, 'glass breaking'), event(7.0, 9.0, 'speech', False, 'hello there'), event(10.0, 11.0, 'a yeti'),
        samples=loud,
    )  # fmt: skip
    with TwinMaker(open_libraries([library]), frozenset(), 1) as maker:
        twin = maker.twin(real, 0)
        again = maker.twin(real, 0)
    assert [(one.onset_s, one.category, one.text) for one in twin.recording.events] == [
        (4.0, 'glass breaking', ''),
        (7.0, 'speech', 'hello there'),
    ]
    assert [one.category for one in twin.without] == ['a yeti']
    quiet, glass = twin.recording.samples[:60_000], twin.recording.samples[64_000:80_000]
    assert level_dbfs(quiet) == pytest.approx(level_dbfs(SOUND), abs=1.5)
    assert level_dbfs(glass) > level_dbfs(quiet) + 10.0
    assert np.array_equal(again.recording.samples, twin.recording.samples)


def test_a_twin_holds_no_recording_that_the_field_is_made_of(library: Path):
    real = recording(event(4.0, 5.0, 'glass breaking'))
    with (
        TwinMaker(open_libraries([library]), frozenset(), 1) as maker,
        TwinMaker(open_libraries([library]), frozenset({'g1'}), 1) as other,
    ):
        clip, render = maker.twin(real, 0).recording.samples, other.twin(real, 0).recording.samples
    assert not np.array_equal(clip, render)  # of the same draws, but for the recording


def test_silence_in_two_seconds_is_the_share_of_chunks_after_which_nothing_is_said():
    said = heard({0: 'Oh.', 6: 'Ah.', 7: 'Eh.'}, 12)
    assert silence_rates(said, 12).tolist() == pytest.approx([0.8, 0.6])


def heard_recording(said: Heard, written: tuple[Written, ...] = ()) -> HeardRecording:
    one = recording(event(2.0, 3.0, 'siren'))
    return HeardRecording(one, Timed(said, (0.010, 0.030), 1.2), score(one.events, said, one.name), written)


def test_equal_silence_correlates_perfectly_and_silence_that_never_changes_not_at_all():
    one, other = heard_recording(heard({5: 'A siren!', 18: 'Oh.'})), heard_recording(heard({6: 'A siren!'}))
    assert silence_correlation([one], [one], 1)['rate'] == 1.0
    assert 0 < silence_correlation([one], [other], 1)['rate'] < 1
    assert silence_correlation([one], [heard_recording(heard({}))], 1)['rate'] is None


def test_the_rates_of_a_scene_count_false_responses_words_and_time():
    words = (Written('a', 'english', 'a b c d', 'a b', 2, 4), Written('b', 'chinese', '你好', '你', 1, 2))
    found = field_rates([heard_recording(heard({5: 'A siren!', 18: 'Oh.'}), words)], 1)
    assert (found['false_responses'], found['recall'], found['wer'], found['cer']) == (1, 1.0, 0.5, 0.5)
    assert found['right_answers'] == 1
    assert found['computing_ms'] == 20.0 and found['cpu_share'] == pytest.approx(0.1)


def test_hearing_a_chunk_at_a_time_says_what_the_session_says_and_takes_time(listener: Listener):
    timed = hear(listener, SOUND)
    told = listener.hear_samples(SOUND)
    assert [r.text for r in timed.heard.responses] == [r.text for r in told.responses] and told.responses
    assert len(timed.computing_s) == len(told.responses)
    assert min(timed.computing_s) > 0 and timed.cpu_s > 0


def test_words_are_asked_for_by_the_instruction_in_a_session_of_their_own(listener: Listener):
    spoken = recording(event(1.0, 3.0, 'speech', False, 'good morning'), event(4.0, 5.0, 'siren'))
    (found,) = write_down(CheckpointEars(listener, 'Write down what I say.'), spoken)
    piece = SOUND[round(0.6 * SAMPLE_RATE_HZ) : 5 * SAMPLE_RATE_HZ]
    told = listener.hear(listener.encode(piece), instruction='Write down what I say.')
    assert found.written == ' '.join(response.text for response in told.responses)
    assert (found.wanted, found.words) == ('good morning', 2) and found.errors >= 2


def test_windows_are_those_with_something_to_answer_first():
    quiet, called = recording(), recording(event(9.0, 10.0, 'siren'))
    assert chosen_windows([quiet, called], 1, 10) == [(1, 20)]
    assert len(chosen_windows([quiet, called], 4, 10)) == 4


def test_what_would_be_right_is_due_when_enough_was_heard():
    (reply,) = true_replies(recording(event(9.0, 12.0, 'siren'), event(9.5, 10.0, 'rain', False)), 20, 10)
    assert reply.onset == SAMPLE_RATE_HZ and reply.due == round(1.8 * SAMPLE_RATE_HZ)
    assert reply.text == 'A siren! An emergency vehicle is near.' and reply.emotion == 'urgent'
