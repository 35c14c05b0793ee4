"""Chunks of 0.2, 0.6 and 0.8 s: drains, targets and vectors at exact boundaries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.network import AudioTower
from tests.training.stages import micro
from training.ablate.recipes import recipe_of
from training.ablate.variants import VARIANTS
from training.recipe import StageData, TrainingRecipe
from training.stages.collator import RECENT_SAMPLES, StreamCollator, event_targets
from training.stages.crops import crop_samples
from training.stages.dataset import ShardDataset
from training.stages.index import index_corpus
from training.stages.listening import ListeningModel
from training.stages.model import build, heard_chunks
from training.streams import Reply, schedule
from training.tokens import make_tokenizer

LENGTHS = {'chunk-0.2': 3_200, 'chunk-0.6': 9_600, 'chunk-0.8': 12_800}
EACH = pytest.mark.parametrize(('name', 'length'), LENGTHS.items(), ids=LENGTHS)


def recipe(name: str) -> TrainingRecipe:
    return recipe_of(VARIANTS[name], micro.recipe(), 3)


@pytest.fixture(scope='module')
def collators(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, StreamCollator]:
    """Whole streams of the micro corpus, in chunks of each length."""
    out = tmp_path_factory.mktemp('collators')
    tokenizer, protocol = make_tokenizer([micro.INSTRUCTION, *micro.SAID.values()], 320)
    tokenizer.save(str(out / 'tokenizer.json'))
    protocol.save(out / 'protocol.json')
    found = {}
    for length in (CHUNK_SAMPLES, *LENGTHS.values()):
        index = out / str(length)
        index_corpus(corpus, out / 'tokenizer.json', out / 'protocol.json', micro.INSTRUCTION, index, length)
        dataset = ShardDataset(corpus, index, length)
        found[length] = StreamCollator(
            dataset, StageData(form='online'), tokenizer, protocol, micro.INSTRUCTION, sorted(micro.HERTZ)
        )
    return found


@EACH
def test_a_reply_follows_the_chunk_that_holds_the_last_sample_it_needs(name, length):
    for due, chunk in ((1, 0), (length, 0), (length + 1, 1), (5 * length, 4), (5 * length + 1, 5)):
        drains = schedule([Reply(onset=0, due=due, text='Bless you!')], 8, aloud=False, chunk_samples=length)
        assert [(d.first, d.last) for d in drains if d.reply == 0] == [(chunk, chunk)]


@pytest.mark.parametrize(('length', 'arrived'), [(3_200, 10), (6_400, 5), (9_600, 3), (12_800, 2)])
def test_as_many_chunks_are_drained_together_as_arrive_while_a_reply_is_said(length, arrived):
    """30 characters at 15 a second are two seconds."""
    drains = schedule([Reply(onset=0, due=length, text='x' * 30)], 20, aloud=True, chunk_samples=length)
    assert [(d.first, d.last) for d in drains[:3]] == [(0, 0), (1, arrived), (arrived + 1, arrived + 1)]


@given(number=st.integers(0, 500), length=st.sampled_from(list(LENGTHS.values())), aloud=st.booleans())
def test_a_stream_cut_anew_has_the_same_replies_over_the_same_sound(number, length, aloud):
    stream, samples = micro.stream(number, replies_aloud=aloud)
    cut = stream.recut(length)
    assert 0 <= cut.chunks * length - len(samples) < length
    assert [c for d in cut.drains for c in range(d.first, d.last + 1)] == list(range(cut.chunks))
    said = [drain.reply for drain in cut.drains if drain.reply is not None]
    assert said == [drain.reply for drain in stream.drains if drain.reply is not None]
    for drain in cut.drains:
        if drain.reply is not None:
            assert (drain.last + 1) * length >= stream.replies[drain.reply].due


@EACH
def test_a_batch_has_25_vectors_a_second_and_the_same_words(collators, name, length):
    collator, usual = collators[length], collators[CHUNK_SAMPLES]
    places = range(12)
    batch, before = collator.collate(places), usual.collate(places)
    streams = [collator.dataset.record(place) for place in places]
    vectors = length // 640
    assert batch.heard.sum(dim=1).tolist() == [stream.chunks for stream in streams]
    assert len(batch.audio_at) == vectors * len(batch.ends_at) == vectors * sum(stream.chunks for stream in streams)
    assert torch.equal(batch.lm_targets, before.lm_targets) and torch.equal(batch.lm_of, before.lm_of)
    assert torch.bincount(batch.stream_of).tolist() == [len(stream.drains) for stream in streams]
    # Every decision stands at the end of its drain's last chunk, and what comes next there is its target.
    ids = batch.ids.flatten()
    assert torch.equal(ids[batch.stream_at + 1], batch.stream_targets)
    ends = batch.ends_at.split([stream.chunks for stream in streams])
    wanted = [int(ends[row][drain.last]) for row, stream in enumerate(streams) for drain in stream.drains]
    assert batch.stream_at.tolist() == wanted
    assert batch.lengths.tolist() == collator.dataset.rows['positions'][:12].tolist()
    # The same sound, and silence where the last chunk is longer than the stream.
    for row, place in enumerate(places):
        samples = usual.dataset.samples(place, usual.dataset.record(place).chunks)
        np.testing.assert_array_equal(batch.waveforms[row, : len(samples)].numpy(), samples)
        assert not batch.waveforms[row, len(samples) :].any()


@EACH
def test_offline_as_much_is_heard_as_the_first_reply_needs(collators, name, length):
    collator = collators[length]
    offline = StreamCollator(
        collator.dataset, StageData(form='offline'), collator.tokenizer, collator.protocol, collator.instruction, []
    )
    batch = offline.collate(range(8))
    assert batch.lengths.tolist() == collator.dataset.rows['exchange_positions'][:8].tolist()
    for row in range(8):
        stream = collator.dataset.record(row)
        heard = int(batch.heard[row].sum())
        assert heard == (-(-stream.replies[0].due // length) if stream.replies else stream.chunks)


@EACH
def test_what_sounded_lately_is_named_for_as_long_as_before(name, length):
    stream, _ = micro.stream(3)
    cut = stream.recut(length)
    targets = event_targets(cut, cut.chunks, sorted(micro.HERTZ), length)
    heard = np.zeros(cut.chunks, bool)
    for event in stream.events:
        heard[event.onset // length : (event.end - 1 + RECENT_SAMPLES) // length + 1] = True
    np.testing.assert_array_equal(targets[:, 0] == 0, heard)


@EACH
@torch.inference_mode()
def test_the_encoder_is_the_stock_one_with_a_window_of_that_length(name, length):
    torch.manual_seed(1)
    encoder = ChunkEncoder(recipe(name).audio.config(), frames_per_chunk=length // 160).eval()
    mel = encoder.logmel(0.3 * torch.randn(4 * length))
    tower = Qwen2_5OmniAudioEncoder(Qwen2_5OmniAudioEncoderConfig(**recipe(name).audio.model_dump())).eval()
    tower.load_state_dict(encoder.audio_tower.state_dict())
    stock = tower(
        mel, feature_lens=torch.tensor([mel.shape[1]]), aftercnn_lens=torch.tensor([mel.shape[1] // 2])
    ).last_hidden_state
    vectors = encoder.encode_mel(mel)
    assert vectors.shape == (4, length // 640, 16)
    torch.testing.assert_close(vectors.flatten(0, 1), stock, atol=1e-5, rtol=0)


@EACH
@torch.inference_mode()
def test_the_network_is_given_the_vectors_of_each_chunk_where_they_belong(collators, name, length):
    collator = collators[length]
    torch.manual_seed(2)
    model = build(recipe(name), collator.tokenizer.get_vocab_size(), len(collator.event_classes)).eval()
    batch = collator.collate([4, 9])
    mel = heard_chunks(CausalLogMel(16)(batch.waveforms), batch, augment=False)
    assert mel.shape == (len(batch.ends_at), 16, length // 160)
    control, text, _ = model(mel, batch)
    assert control.shape[0] == len(batch.stream_at) and text.shape[0] == len(batch.lm_at)
    # A chunk that is heard otherwise changes what is decided after it, and nothing before.
    changed = mel.clone()
    changed[6] += 1.0
    moved = (model(changed, batch)[0] != control).any(dim=1)
    assert not moved[batch.stream_at < batch.ends_at[6]].any()
    assert moved[(batch.stream_at == batch.ends_at[6]).nonzero()].all()


@EACH
def test_stage_0_hears_two_seconds_in_whole_chunks(name, length):
    model = ListeningModel(AudioTower(recipe(name).audio.config()), ['a', 'b'], ['p']).eval()
    crop = crop_samples(length)
    assert crop % length == 0 and 0 <= crop - 32_000 < length
    sounds, phones, _ = model(CausalLogMel(16)(torch.zeros(3, crop)))
    assert sounds.shape == (3, 2) and phones.shape == (3, crop // 640, 2)
