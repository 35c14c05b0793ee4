"""Stage 0: crops whose phonemes lie where they sound, and batches that depend on the step alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.network import AudioTower
from tests.training.stages import micro
from training.dsp.augment import at_speed
from training.stages.augmentation import another_microphone
from training.stages.crops import speech_crop
from training.stages.listening import ListeningModel

RATE = 16_000


def tones(*frequencies_hz, seconds=0.5):
    """One steady tone after the other, and the 'phonemes' that they are."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    samples = np.concatenate([np.sin(2 * np.pi * hz * time_s) for hz in frequencies_hz]).astype(np.float32)
    phones = tuple((str(hz), n * seconds, (n + 1) * seconds) for n, hz in enumerate(frequencies_hz))
    return samples, phones


@pytest.mark.parametrize('speed', [0.85, 1.0, 1.18])
def test_every_vector_is_labelled_with_the_phoneme_that_sounds_in_it(speed):
    samples, phones = tones(400, 900, 2_000, 3_500)
    number = {name: n for n, (name, _, _) in enumerate(phones, 1)}
    right = total = 0
    for seed in range(20):
        crop, labels = speech_crop(at_speed(samples, speed), phones, speed, number, np.random.default_rng(seed))
        assert crop.shape == (32_000,) and labels.shape == (50,)
        for vector, label in zip(crop.reshape(50, 640), labels, strict=True):
            loud = np.sqrt(np.square(vector).mean()) > 0.5
            heard_hz = np.abs(np.fft.rfft(vector)).argmax() * RATE / 640
            heard = min(number, key=lambda name: abs(float(name) * speed - heard_hz)) if loud else None
            right += label == (number[heard] if heard else 0)
            total += 1
    assert right / total > 0.93  # the vectors that two of them share


def test_a_phoneme_that_is_too_rare_to_be_learnt_is_not_supervised():
    samples, phones = tones(400, 900)
    _, labels = speech_crop(samples, phones, 1.0, {'400': 1}, np.random.default_rng(1))
    assert set(labels) == {-100, 0, 1}


def test_another_microphone_is_what_filtering_the_sound_would_give():
    """A gain of the whole waveform moves the log-mel as much as the same number of decibels in the augmentation."""
    samples = torch.from_numpy(np.random.default_rng(2).standard_normal((1, 6_400)).astype(np.float32) * 0.05)
    logmel = CausalLogMel(64)
    louder = logmel(samples * 10 ** (6 / 20)) - logmel(samples)
    assert louder.median() == pytest.approx(6 / 40, abs=1e-3)
    torch.manual_seed(3)
    mel = torch.zeros(200, 64, 40)
    gain_db = 40.0 * another_microphone(mel)
    assert torch.equal(gain_db[:, :, :1].expand_as(gain_db), gain_db)  # the same at every moment
    assert 8.0 < gain_db.abs().max() <= 12.0
    assert gain_db.diff(dim=1).abs().max() < 1.5  # from one band to the next


def test_stage_0_hears_a_crop_as_a_stream_of_its_own():
    audio = micro.RECIPE['audio'] | {'left_context_chunks': 1}
    torch.manual_seed(0)
    model = ListeningModel(AudioTower(micro.recipe(audio=audio).audio.config()), ['a', 'b'], ['p']).eval()
    torch.nn.init.normal_(model.audio_tower.proj.weight)
    mel = torch.randn(2, 16, 200)
    both = model(mel)[1]
    assert both.shape == (2, 50, 2)
    torch.testing.assert_close(both[1], model(mel[1:])[1][0], atol=1e-5, rtol=0)
    mel[1, :, :40] = 0.0  # its first chunk, which the second sees, and the later ones do not
    moved = (model(mel)[1] - both).abs().amax(2).unflatten(1, (5, 10)).amax(2) > 1e-5
    assert moved.tolist() == [[False] * 5, [True, True, False, False, False]]
