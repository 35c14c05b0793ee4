"""An event head is fitted to streams of one sound each, and names what it has not heard before."""

from __future__ import annotations

import pytest
import torch

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.network import AudioTower, EventHead
from tests.training.stages import micro
from training.clips.store import ClipStore
from training.recipe import EventHeadStage
from training.render.one_clip import one_clip_stream
from training.speech.spoken import SPEECH
from training.stages.crops import CropSource
from training.stages.distributed import Devices
from training.stages.event_head import fit_event_head

CLASSES = sorted(micro.HERTZ)
STAGE = EventHeadStage(streams=160, steps=300, learning_rate=1e-2, weight_decay=0.05)


@pytest.fixture(scope='module')
def ear():
    """A tower that has learnt nothing: even what it gives of tones and of noise lies apart, if it is loud enough."""
    torch.manual_seed(0)
    recipe = micro.recipe()
    tower = AudioTower(recipe.audio.config()).eval().requires_grad_(False)
    for convolution in (tower.conv1, tower.conv2):
        convolution.weight *= 10.0
    return tower, CausalLogMel(recipe.audio.num_mel_bins)


def side(corpus, split):
    return CropSource(ClipStore(corpus / 'library' / 'clips'), ClipStore(corpus / SPEECH), split)


def test_a_head_names_sounds_in_streams_that_it_did_not_learn_from_and_knows_when_there_is_none(corpus, ear):
    (tower, logmel), devices = ear, Devices(0, 1, torch.device('cpu'))
    head = fit_event_head(STAGE, tower, logmel, side(corpus, 'train'), CLASSES, 3, devices)
    again = fit_event_head(STAGE, tower, logmel, side(corpus, 'train'), CLASSES, 3, devices)
    assert all(torch.equal(one, other) for one, other in zip(head.parameters(), again.parameters(), strict=True))
    named, before = [], []
    sounds = [*side(corpus, 'validation').sounds, *side(corpus, 'train').sounds]
    for number, sound in enumerate(sounds):
        stream = one_clip_stream(sound, number, 1)
        mel = logmel(torch.from_numpy(stream.samples[None]).float())
        with devices.autocast():
            heard = EventHead.summary(tower.encode_streams(mel.unflatten(-1, (-1, 40)).movedim(-2, 1))[0])
        last = stream.answer_chunks.start + 2
        named.append(int(head(head.pooled(heard[: last + 1])).argmax()) == 1 + CLASSES.index(sound.category))
        before.append(int(head(head.pooled(heard[: stream.answer_chunks.start])).argmax()) == 0)
    assert len(sounds) == 12 and sum(named) >= 10 and sum(before) >= 9
