"""What a checkpoint is compared with in the field: silence, YAMNet over a threshold, and a cascade of parts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.matching import SceneEvent
from training.__main__ import main
from training.evaluate import EvaluationError
from training.evaluate.yamnet import Yamnet
from training.field.baselines import (
    USUAL_THRESHOLD,
    AlwaysSilent,
    Cascade,
    YamnetOverThreshold,
    above,
    chosen_threshold,
    heard_of,
)
from training.field.evaluation import field_rates, hear_recording
from training.field.recordings import FieldRecording
from training.procedural.registry import render

YAMNET = Path(__file__).parents[3].parent / 'shared' / 'parts' / 'yamnet.tflite'
needs_yamnet = pytest.mark.skipif(not YAMNET.is_file(), reason=f'no {YAMNET}')
PARTS = os.environ.get('CASCADE_PARTS', '')  # a folder with whisper-base and smollm2-135m
SILENCE = np.zeros(20 * CHUNK_SAMPLES, np.float32)


def event(onset_s: float, end_s: float, category: str, hazard: bool) -> SceneEvent:
    return SceneEvent(onset_s=onset_s, end_s=end_s, category=category, hazard=hazard)


def siren_and_rain() -> FieldRecording:
    samples = SILENCE.copy()
    for name, at_s in (('siren_wail', 1), ('rain', 5)):
        sound = render(name, np.random.default_rng([9, 0]))[: 2 * SAMPLE_RATE_HZ]
        samples[at_s * SAMPLE_RATE_HZ : at_s * SAMPLE_RATE_HZ + len(sound)] = 0.2 * sound / np.abs(sound).max()
    return FieldRecording('home', 'home/one', samples, (event(1, 3, 'siren', True), event(5, 7, 'rain', False)))


def test_silence_has_no_false_response_and_misses_everything():
    found = field_rates([hear_recording(AlwaysSilent(), siren_and_rain())], 1)
    assert (found['recall'], found['false_responses'], found['right_answers'], found['accuracy']) == (0.0, 0, 0, 0.5)
    assert found['hours_listened'] == pytest.approx(8 / 3_600, abs=1e-4) and found['computing_ms'] is None


def test_what_is_said_is_scored_as_a_checkpoint_is():
    heard = heard_of(SILENCE, {3: 'A siren!'})
    assert [(r.text, r.decision.chunk.index) for r in heard.responses] == [('A siren!', 3)]
    assert heard.highest_between(1.2, 1.7) == 1.0 and heard.highest_between(2.0, 8.0) == 0.0


def test_a_run_above_the_threshold_is_one_response():
    assert above(np.array([0.5, 0.1, 0.6, 0.9, 0.2, 0.5]), 0.5) == [0, 2, 5]


@needs_yamnet
def test_yamnet_answers_the_siren_alone_at_a_threshold_that_other_recordings_chose():
    yamnet, recording = Yamnet(YAMNET), siren_and_rain()
    threshold = chosen_threshold(yamnet, [recording])
    found = field_rates([hear_recording(YamnetOverThreshold(yamnet, threshold), recording)], 1)
    assert (found['recall'], found['false_positive_rate']) == (1.0, 0.0) and found['computing_ms'] > 0
    assert chosen_threshold(yamnet, []) == USUAL_THRESHOLD


def test_a_missing_part_of_the_cascade_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    monkeypatch.setitem(sys.modules, 'silero_vad', None)
    with pytest.raises(EvaluationError, match=r'needs the package silero-vad .* pip install silero-vad'):
        Cascade(tmp_path, tmp_path, 'cpu')
    assert main(['evaluate', 'field', str(tmp_path), '--whisper', str(tmp_path)]) == 2
    assert 'give the other too' in capsys.readouterr().err


@pytest.mark.skipif(not PARTS, reason='CASCADE_PARTS names no folder of parts')
def test_the_cascade_writes_down_what_is_said_and_answers_or_stays_silent():
    from training.speech.espeak import Speaker
    from training.speech.voices import VALIDATION_VOICES

    cascade = Cascade(Path(PARTS) / 'whisper-base', Path(PARTS) / 'smollm2-135m', 'cpu')
    with Speaker() as speaker:
        said = speaker.speak('What is the capital of France?', VALIDATION_VOICES[0]).samples
    samples = SILENCE.copy()
    samples[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + len(said)] = 0.3 * said / np.abs(said).max()
    ((first, last, known),) = cascade.speech(samples)
    assert first < 1.5 * SAMPLE_RATE_HZ < last <= known
    assert 'france' in cascade.write(samples[first:last]).lower()
    timed = cascade.hear(samples)
    assert (
        len(timed.heard.responses) == len(timed.computing_s) == bool(cascade.answer('What is the capital of France?'))
    )
    assert cascade.answer('  ') == '' and cascade.speech(SILENCE) == []
