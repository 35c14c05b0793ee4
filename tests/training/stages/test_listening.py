"""Stage 0: crops whose phonemes lie where they sound, and batches that depend on the step alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.network import AudioTower
from tests.training.stages import micro
from training.clips.store import ClipStore
from training.dsp.augment import at_speed
from training.recipe import ListeningStage
from training.stages.augmentation import another_microphone
from training.stages.crops import CropSource, speech_crop
from training.stages.held_out import LinearProbe
from training.stages.listening import ListeningModel, Teacher, layer_rate, unlikeness

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


def tower(seed, **audio):
    """A tower whose layers do something."""
    torch.manual_seed(seed)
    made = AudioTower(micro.recipe(audio=micro.RECIPE['audio'] | {'encoder_layers': 2} | audio).audio.config()).eval()
    for parameter in made.layers.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_a_teacher_hears_the_whole_crop_where_its_pupil_hears_chunks():
    pupil = tower(0, left_context_chunks=1, layer_mix=True)
    teacher = Teacher(pupil, frames=200)
    mel = torch.rand(2, 16, 200)
    taught = teacher.hidden_states(mel)
    assert [tuple(states.shape) for states in taught] == [(2, 100, 16)] * 2
    mel[:, :, -1] = 1.5  # the last frame, which only a tower that hears all of it knows at the first
    moved = [after - before for after, before in zip(teacher.hidden_states(mel), taught, strict=True)]
    assert all(layer[:, 0].abs().max() > 1e-6 for layer in moved)
    heard: list[torch.Tensor] = []
    pupil.encode_streams(mel.unflatten(-1, (5, 40)).movedim(2, 1), heard)
    assert [tuple(states.shape) for states in heard] == [(10, 20, 16)] * 2
    alone: list[torch.Tensor] = []
    pupil.encode_streams(mel[:, None, :, :40], alone)
    assert 0 < unlikeness(alone, [states[:, :20] for states in Teacher(pupil, 40).hidden_states(mel[:, :, :40])]) < 1e-6
    assert unlikeness(heard, taught) > 1e-2
    assert not any(parameter is other for parameter in teacher._tower.parameters() for other in pupil.parameters())


def test_a_teacher_hears_with_whispers_floor_which_is_that_of_the_whole_crop():
    teacher = Teacher(tower(0), frames=200)
    mel = torch.zeros(1, 16, 200)
    mel[..., 150:] = 3.0
    floored = mel.clamp_min(1.0)  # 80 dB under what comes later
    assert torch.equal(teacher.hidden_states(mel)[1], teacher.hidden_states(floored)[1])


def test_what_lies_lower_in_the_tower_learns_more_slowly():
    numbers = {'steps': 1, 'batch': 1, 'speech_batch': 0, 'mixed_share': 0, 'learning_rate': 1e-3, 'weight_decay': 0}
    stage = ListeningStage(**numbers, tower_rate=0.2, layer_decay=0.5)
    audio = tower(0).config
    names = ('proj.weight', 'ln_post.bias', 'layers.1.fc1.weight', 'layers.0.fc1.bias', 'conv1.bias')
    rates = [layer_rate(f'audio_tower.{name}', stage, audio) for name in names]
    assert rates == [0.2, 0.2, 0.2, 0.1, 0.05]
    assert layer_rate('sound_head.weight', stage, audio) == 1.0


def test_a_linear_probe_tells_tones_from_noise_on_recordings_that_it_did_not_learn_from(tmp_path):
    corpus = micro.write_corpus(tmp_path)
    clips, speech = (ClipStore(corpus / 'library' / folder) for folder in ('clips', 'speech'))
    sides = [CropSource(clips, speech, split) for split in ('train', 'validation')]
    probe = LinearProbe(*sides, clips=100, seed=1)
    spectrum = np.fft.rfftfreq(400, 1 / RATE)

    def flatness(waveforms):
        power = np.abs(np.fft.rfft(waveforms.reshape(len(waveforms), -1, 400))).mean(1)
        return np.stack([power.max(-1) / power.sum(-1), spectrum[power.argmax(-1)]], axis=1)

    assert probe.areas(flatness) == {'probe_auc': 1.0}
    assert probe.areas(lambda waveforms: np.zeros((len(waveforms), 2))) == {'probe_auc': 0.5}
