"""Streams, their labels (paper Algorithm 2) and the losses."""

import numpy as np
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from training.corpus.compose import EVIDENCE_S, compose
from training.corpus.labels import MASK
from training.corpus.sounds import Sound, SoundPool, load_answers, load_sounds, save_sounds
from training.recipe import StreamStage
from training.stages.streams import StreamModel, StreamTask, answer_plan, tokenise
from training.tokens import make_tokenizer

ANSWERS = load_answers()
TOKENIZER, PROTOCOL = make_tokenizer([s for a in ANSWERS.values() for s in a.sentences], 400)
PREFIX = PROTOCOL.prefix(TOKENIZER.encode('Listen.').ids)
CHUNKS = 30


def sounds():
    rng = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 3_100 * np.arange(40_000) / 16_000)
    return [
        Sound.of('smoke alarm', True, 'a', tone.astype(np.float32)),
        Sound.of('fire crackling', True, 'b', rng.standard_normal(48_000).astype(np.float32)),
        *(Sound.of('rain', False, f'c{n}', rng.standard_normal(32_000).astype(np.float32)) for n in range(3)),
    ]


@pytest.fixture(scope='module')
def pool():
    return SoundPool(sounds())


def tokenised(pool, seed):
    rng = np.random.default_rng(seed)
    stream = compose(pool, CHUNKS, 0.5, rng)
    return stream, tokenise(stream, CHUNKS, ANSWERS, pool.categories, TOKENIZER, PROTOCOL, PREFIX, rng)


@pytest.mark.parametrize('seed', range(12))
def test_targets_are_exclusive_and_say_what_algorithm_2_says(pool, seed):
    stream, sample = tokenised(pool, seed)
    stream_targets, lm_targets = np.array(sample.tokens.stream_targets), np.array(sample.tokens.lm_targets)
    assert len(sample.tokens.ids) == len(stream_targets) == len(lm_targets)
    assert not ((stream_targets != MASK) & (lm_targets != MASK)).any()
    # Control tokens are predicted after a chunk, and they and the text are what stands next in the sequence.
    assert set(np.flatnonzero(stream_targets != MASK)) <= set(sample.tokens.chunk_ends)
    following = np.array([*sample.tokens.ids[1:], PROTOCOL.eos])
    for targets in (stream_targets, lm_targets):
        at = targets != MASK
        assert (following[at] == targets[at]).all()
    assert len(sample.tokens.chunk_ends) == CHUNKS
    assert sample.tokens.ids.count(PROTOCOL.audio) == 10 * CHUNKS
    assert (stream_targets[: len(PREFIX)] == MASK).all() and (lm_targets[: len(PREFIX)] == MASK).all()
    assert stream.samples.shape == (CHUNKS * CHUNK_SAMPLES,)


@pytest.mark.parametrize('seed', range(12))
def test_every_answer_comes_when_the_event_can_be_known_and_never_before(pool, seed):
    stream, _ = tokenised(pool, seed)
    triggers, masked = answer_plan(stream, CHUNKS, np.random.default_rng(seed))
    hazards = [event for event in stream.events if event.respond]
    assert len(triggers) <= len(hazards)
    for chunk, category in triggers.items():
        assert any(e.category == category and e.answer_chunk <= chunk for e in hazards)
        assert chunk not in masked
    for event in stream.events:
        assert event.onset < event.known <= event.end
        assert event.known - event.onset >= min(EVIDENCE_S * 16_000, event.end - event.onset) - 640


def test_streams_and_labels_depend_on_the_seed_alone(pool):
    first, second = tokenised(pool, 5), tokenised(pool, 5)
    assert (first[0].samples == second[0].samples).all()
    assert first[1].tokens.ids == second[1].tokens.ids
    assert tokenised(pool, 6)[1].tokens.ids != first[1].tokens.ids


def test_sounds_survive_the_disk(tmp_path, pool):
    save_sounds(pool.sounds, tmp_path)
    for kept, sound in zip(load_sounds(tmp_path), pool.sounds, strict=True):
        assert (kept.category, kept.respond, kept.source_id) == (sound.category, sound.respond, sound.source_id)
        assert (kept.samples == sound.samples).all() and (kept.active == sound.active).all()


@pytest.fixture
def model(pool):
    torch.manual_seed(0)
    audio = AudioConfig(
        num_mel_bins=64, d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, n_window=20,
        max_source_positions=20, output_dim=32,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=TOKENIZER.get_vocab_size(), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=False, use_sliding_window=True,
        sliding_window=40, layer_types=['sliding_attention', 'full_attention'],
    )  # fmt: skip
    return StreamModel(ChunkEncoder(audio), Qwen2ForCausalLM(text), PROTOCOL, pool.categories)


STAGE = StreamStage(
    steps=1, batch=2, learning_rate=1e-3, weight_decay=0.0, train_encoder=True, chunks=CHUNKS, stream_weight=1.0,
    response_weight=1.0, event_weight=0.0,
)  # fmt: skip


def test_the_loss_is_the_sum_of_its_parts_and_reaches_encoder_and_language_model(pool, model):
    task = StreamTask(pool, ANSWERS, TOKENIZER, PREFIX, 0.5, seed=3)
    losses = task.losses(model, STAGE, 1, 0)
    assert float(losses['total'].detach()) == pytest.approx(float(losses['lm'] + losses['stream']), rel=1e-5)
    losses['total'].backward()
    for part in (model.encoder.audio_tower.proj, model.language_model.lm_head):
        assert float(part.weight.grad.abs().sum()) > 0


def test_masked_positions_do_not_move_the_loss(pool, model):
    _, sample = tokenised(pool, 1)
    waveform = torch.from_numpy(tokenised(pool, 1)[0].samples)[None]
    with torch.no_grad():
        alone = model.losses([sample], waveform, STAGE)
        # A longer neighbour pads the sample; padding must change nothing but the mean over both.
        longer = max((tokenised(pool, seed) for seed in range(12)), key=lambda pair: len(pair[1].tokens.ids))
        both = model.losses([sample, sample], waveform.expand(2, -1), STAGE)
        assert float(both['stream']) == pytest.approx(float(alone['stream']), rel=1e-5)
        padded = model.losses(
            [sample, longer[1]], torch.cat([waveform, torch.from_numpy(longer[0].samples)[None]]), STAGE
        )
        single = model.losses([longer[1]], torch.from_numpy(longer[0].samples)[None], STAGE)
    counts = [sum(target != MASK for target in s.tokens.stream_targets) for s in (sample, longer[1])]
    mean = (float(alone['stream']) * counts[0] + float(single['stream']) * counts[1]) / sum(counts)
    assert float(padded['stream']) == pytest.approx(mean, rel=1e-4)


def test_response_probabilities_are_what_a_session_would_compute(pool, model, tmp_path):
    from audio_interaction_ros.model.checkpoint import StreamingDefaults, load_decoder, load_encoder, save_checkpoint
    from audio_interaction_ros.streaming.loop import Decision, listen
    from training.recipe import recipe_path

    save_checkpoint(
        tmp_path, model.encoder, model.language_model, TextConfig(**model.language_model.config.to_diff_dict()),
        TOKENIZER, PROTOCOL,
        StreamingDefaults(instruction='Listen.', response_threshold=0.999, max_context_chunks=CHUNKS),
        recipe_path('embedded'),
    )  # fmt: skip
    samples = compose(pool, CHUNKS, 0.5, np.random.default_rng(2)).samples
    with torch.no_grad():
        whole = model.eval().response_probabilities(torch.from_numpy(samples)[None], PREFIX)[0]
    heard = [e.probability for e in listen(load_encoder(tmp_path), load_decoder(tmp_path), samples)
             if isinstance(e, Decision)]  # fmt: skip
    np.testing.assert_allclose(heard, whole.numpy(), atol=1e-5)
