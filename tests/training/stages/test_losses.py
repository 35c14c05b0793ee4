"""L = (1/N) Σ (L_LM + λ L_stream) with exclusive targets (paper §3.3), whatever a step is divided into."""

from __future__ import annotations

import pytest
import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.encoder import ChunkEncoder, StreamingEncoder
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.shapes import TextConfig
from audio_interaction_ros.model.stock import stock_model
from tests.training.stages import micro
from training.stages import attention
from training.stages.model import build, heard_chunks, losses

STAGE = micro.recipe().stages[2]


@pytest.fixture(scope='module')
def model(collator):
    torch.manual_seed(0)
    return build(micro.recipe(), collator.tokenizer.get_vocab_size(), len(collator.event_classes)).eval()


def run(model, collator, places):
    batch = collator.collate(places)
    mel = heard_chunks(CausalLogMel(16)(batch.waveforms), batch, augment=False)
    return model(mel, batch, True), batch


def test_the_total_is_the_mean_over_all_targets_of_the_step(model, collator):
    logits, batch = run(model, collator, range(4))
    stage = STAGE.model_copy(update={'stream_weight': 0.5, 'event_weight': 0.0})
    texts, controls = len(batch.lm_at), len(batch.stream_at)
    got = losses(logits, batch, stage, collator.protocol.response, texts + controls, len(batch.ends_at))
    stream = -logits[0].log_softmax(-1).gather(1, batch.stream_targets[:, None]).sum()
    lm = -logits[1].log_softmax(-1).gather(1, batch.lm_targets[:, None]).sum()
    stream, lm, total = stream.detach(), lm.detach(), got.total.detach()
    assert float(total) == pytest.approx(float(lm + 0.5 * stream) / (texts + controls), rel=1e-6)
    assert float(got.lm) == pytest.approx(float(lm), rel=1e-6)
    assert float(got.stream) == pytest.approx(float(stream), rel=1e-6)


@pytest.mark.parametrize('mix', [False, True])
def test_every_chunk_is_encoded_as_the_robot_does_with_the_chunks_of_its_own_stream(collator, mix):
    """With left context too, in a batch of streams of other lengths."""
    audio = micro.RECIPE['audio'] | {'left_context_chunks': 2, 'layer_mix': mix, 'encoder_layers': 2}
    torch.manual_seed(0)
    model = build(micro.recipe(audio=audio), collator.tokenizer.get_vocab_size(), 3).eval()
    encoder = ChunkEncoder(model.audio_tower.config)
    encoder.audio_tower = model.audio_tower
    for parameter in model.audio_tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # so large that it matters what is attended to
    vectors: list[torch.Tensor] = []
    model.audio_tower.proj.register_forward_hook(lambda _, __, out: vectors.append(out))
    _, batch = run(model, collator, range(4))
    assert len(set(batch.heard.sum(1).tolist())) > 1
    streamed = []
    for waveform, heard in zip(batch.waveforms, batch.heard, strict=True):
        streaming = StreamingEncoder(encoder)
        chunks = waveform.unflatten(0, (-1, CHUNK_SAMPLES))[heard]
        streamed += [streaming.encode(chunk) for chunk in chunks]
    torch.testing.assert_close(vectors[0].detach(), torch.stack(streamed), atol=1e-5, rtol=1e-5)


def test_parts_of_a_step_add_up_to_the_whole_with_the_same_gradients(model, collator):
    def gradients(parts):
        batches = [run(model, collator, part) for part in parts]
        targets = sum(len(batch.lm_at) + len(batch.stream_at) for _, batch in batches)
        chunks = sum(len(batch.ends_at) for _, batch in batches)
        shares = [
            losses(logits, batch, STAGE, collator.protocol.response, targets, chunks) for logits, batch in batches
        ]
        total = sum(share.total for share in shares)
        named = [p for name, p in model.named_parameters() if 'bos_eos' not in name]
        return float(total.detach()), torch.autograd.grad(total, named)

    # Streams of other lengths: what is padded in one is not in the other.
    (whole, together), (sum_of_parts, apart) = gradients([range(6)]), gradients([range(2), range(2, 5), [5]])
    assert sum_of_parts == pytest.approx(whole, rel=1e-6)
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_class_weight_counts_responses_more_and_changes_nothing_else(model, collator):
    logits, batch = run(model, collator, range(4))
    response = collator.protocol.response
    plain, heavy = (
        losses(logits, batch, STAGE.model_copy(update={'response_weight': weight}), response, 100, 100)
        for weight in (1.0, 3.0)
    )
    at = batch.stream_targets == response
    extra = 2 * torch.nn.functional.cross_entropy(logits[0][at], batch.stream_targets[at], reduction='sum') / 100
    assert float((heavy.total - plain.total).detach()) == pytest.approx(float(extra.detach()), rel=1e-4)
    assert float(heavy.stream) == float(plain.stream)


def test_the_loss_reaches_encoder_adapter_language_model_and_event_head(model, collator):
    logits, batch = run(model, collator, range(4))
    losses(logits, batch, STAGE, collator.protocol.response, 100, 100).total.backward()
    for name, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        assert reached == ('bos_eos' not in name), name
    model.zero_grad()


@pytest.mark.parametrize('length', [7, 40, 41, 133])
@pytest.mark.parametrize('family', ['qwen2', 'llama', 'qwen3'])
def test_training_attends_as_the_runtime_does(length, family):
    torch.manual_seed(1)
    text = micro.RECIPE['text'] | {'model_type': family, 'vocab_size': 50}
    if family == 'llama':  # which has no windows
        text |= {'use_sliding_window': False, 'layer_types': ['full_attention'] * 2}
    runtime = LanguageModel(TextConfig(**text)).eval()
    training = stock_model(runtime)
    training.set_attn_implementation(attention.NAME)
    engine = Engine(runtime)
    ids = torch.randint(0, 50, (2, length))
    with torch.no_grad():
        read = engine.read(
            [engine.new_cache(length) for _ in ids], torch.stack([engine.embed(row) for row in ids.tolist()])
        )
        torch.testing.assert_close(training(ids).logits, engine.logits(read), rtol=1e-4, atol=1e-5)
