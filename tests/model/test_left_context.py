"""Contract 2 for chunks that attend to those before them, and for a mix of the layers: streaming equals offline."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.model.checkpoint import EncoderHalf, StreamingDefaults, load_encoder, save_checkpoint
from audio_interaction_ros.model.describe import describe
from audio_interaction_ros.model.encoder import ChunkEncoder, StreamingEncoder
from audio_interaction_ros.model.network import AudioTower
from audio_interaction_ros.model.shapes import AudioConfig
from audio_interaction_ros.streaming.ingest import AudioIngest
from tests.tiny_checkpoint import make_language_model, make_protocol, make_tokenizer

LAYERS, RESET = 3, 0


def config(left: int, mix: bool, layers: int = LAYERS) -> AudioConfig:
    return AudioConfig(
        d_model=16, encoder_layers=layers, encoder_attention_heads=2, encoder_ffn_dim=32, num_mel_bins=16, n_window=20,
        max_source_positions=20, output_dim=8, left_context_chunks=left, layer_mix=mix,
    )  # fmt: skip


def make(left: int, mix: bool, log_mel='fixed', layers: int = LAYERS) -> ChunkEncoder:
    """An encoder with weights so large that it matters what is attended to."""
    torch.manual_seed(3)
    encoder = ChunkEncoder(config(left, mix, layers), log_mel).eval().requires_grad_(False)
    for parameter in encoder.audio_tower.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return encoder


def sound(chunks: int, seed: int = 0) -> torch.Tensor:
    """Noise of another loudness in every chunk."""
    generator = torch.Generator().manual_seed(seed)
    loudness = 10 ** (-3 * torch.rand(chunks, 1, generator=generator))
    return (loudness * torch.randn(chunks, CHUNK_SAMPLES, generator=generator)).flatten()


@settings(max_examples=15, deadline=None)
@given(
    left=st.sampled_from([0, 1, 3]),
    mix=st.booleans(),
    log_mel=st.sampled_from(['fixed', 'running_maximum']),
    pieces=st.lists(st.sampled_from([1, 2, 7, RESET]), min_size=2, max_size=5),
    streams=st.sampled_from([None, 2]),
)
def test_streaming_equals_offline_in_pieces_of_any_length_and_across_gaps(left, mix, log_mel, pieces, streams):
    encoder = make(left, mix, log_mel)
    waves = torch.stack([sound(max(1, sum(pieces)), seed) for seed in range(streams or 1)])
    waves = waves if streams else waves[0]
    streaming, at, since = StreamingEncoder(encoder, streams), 0, 0
    for piece in pieces:
        if piece == RESET:
            streaming.reset()
            since = at
            continue
        end = at + piece
        heard = waves[..., at * CHUNK_SAMPLES : end * CHUNK_SAMPLES]
        offline = encoder(waves[..., since * CHUNK_SAMPLES : end * CHUNK_SAMPLES])[..., at - since :, :, :]
        torch.testing.assert_close(streaming.encode_all(heard), offline, atol=1e-5, rtol=0)
        at = end


def dense(tower: AudioTower, mel: torch.Tensor) -> torch.Tensor:
    """The same tower, plainly: one sequence of all chunks, every pair of frames, and a mask. mel [chunks, bins, 40]."""
    left = tower.config.left_context_chunks
    x = nn.functional.gelu(tower.conv2(nn.functional.gelu(tower.conv1(mel)))).transpose(1, 2) + tower.positions[:20]
    x, chunk = x.flatten(0, 1), torch.arange(len(mel)).repeat_interleave(20)
    apart = chunk[:, None] - chunk[None]
    outputs = [x]
    for layer in tower.layers:
        attention, normed = layer.self_attn, layer.self_attn_layer_norm(x)
        query, key, value = (
            part(normed).unflatten(1, (2, 8)).movedim(0, 1)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        scores = (query @ key.mT / 8**0.5).masked_fill((apart < 0) | (apart > left), -torch.inf)
        x = x + attention.out_proj((scores.softmax(-1) @ value).movedim(0, 1).flatten(1))
        x = x + layer.fc2(nn.functional.gelu(layer.fc1(layer.final_layer_norm(x))))
        outputs.append(x)
    if not tower.config.layer_mix:
        return tower.proj(tower.ln_post(x.unflatten(0, (len(mel), 10, 2)).mean(2)))
    weights = tower.proj.weight.split(16, dim=1)
    pooled = [output.unflatten(0, (len(mel), 10, 2)).mean(2) for output in outputs]
    normed = [(one - one.mean(-1, True)) / (one.var(-1, keepdim=True, correction=0) + 1e-5).sqrt() for one in pooled]
    return tower.proj.bias + sum(one @ weight.T for one, weight in zip(normed, weights, strict=True))


@pytest.mark.parametrize('mix', [False, True])
@pytest.mark.parametrize('left', [0, 1, 2, 8])
def test_a_chunk_attends_to_itself_and_so_many_before_it(left, mix):
    encoder = make(left, mix)
    mel = encoder.logmel(sound(6))
    chunks = mel.unflatten(-1, (6, 40)).movedim(1, 0)
    torch.testing.assert_close(encoder.encode_mel(mel), dense(encoder.audio_tower, chunks), atol=1e-5, rtol=0)


@pytest.mark.parametrize('left', [1, 2])
def test_in_one_layer_nothing_older_counts(left):
    encoder, wave = make(left, mix=False, layers=1), sound(6)
    heard = encoder(wave)
    for chunk in range(5):
        changed = wave.clone()
        changed[chunk * CHUNK_SAMPLES : chunk * CHUNK_SAMPLES + 4_000] = 0.0
        moved = (encoder(changed) - heard).abs().amax((1, 2)) > 1e-4
        assert moved.tolist() == [chunk <= number <= chunk + left for number in range(6)]


def test_chunks_of_many_streams_in_one_batch_see_their_own_stream_alone():
    encoder, lengths = make(2, mix=True), (4, 1, 3)
    waves = [sound(length, seed) for seed, length in enumerate(lengths)]
    mel = torch.cat([encoder.logmel(wave).unflatten(-1, (-1, 40)).movedim(1, 0) for wave in waves])
    before = torch.cat([torch.arange(length) for length in lengths])
    expected = torch.cat([encoder(wave) for wave in waves])
    torch.testing.assert_close(encoder.audio_tower.encode_chunks(mel, before), expected, atol=1e-5, rtol=0)


def test_no_more_is_kept_than_is_attended_to():
    tower, left = make(2, mix=False).audio_tower, None
    for chunks in (1, 1, 1, 7, 40, 1):
        _, left = tower.encode_next(torch.randn(1, chunks, 16, 40), left)
    assert left is not None and left.chunks == 2
    for kept in (*left.keys, *left.values):
        assert kept.shape == (1, 2, 2, 20, 8)
        assert kept.untyped_storage().nbytes() == 4 * kept.numel()
    assert make(0, mix=False).audio_tower.encode_next(torch.randn(1, 1, 16, 40), None)[1] is None


def test_a_mix_that_weighs_the_last_layer_alone_is_what_no_mix_gives():
    mixing, plain = make(1, mix=True).audio_tower, make(1, mix=False)
    mixing.proj.weight[:, :-16] = 0.0
    shared = {name: tensor for name, tensor in mixing.state_dict().items() if name != 'proj.weight'}
    plain.audio_tower.load_state_dict(shared | {'proj.weight': mixing.proj.weight[:, -16:]}, strict=False)
    mel = torch.randn(2, 3, 16, 40)
    torch.testing.assert_close(mixing.encode_streams(mel), plain.audio_tower.encode_streams(mel), atol=1e-5, rtol=0)
    mixing.proj.weight[:, :16] = mixing.proj.weight[:, -16:]
    mixing.proj.weight[:, 16:] = 0.0  # of the convolutions, then
    heard = mixing.encode_streams(mel)
    mixing.layers[0].fc2.weight.add_(1.0)
    torch.testing.assert_close(mixing.encode_streams(mel), heard, atol=1e-5, rtol=0)


def test_a_mix_learns_from_all_layers():
    tower = AudioTower(config(2, mix=True))
    assert tower.proj.weight.shape == (8, (1 + LAYERS) * 16)
    tower.encode_streams(torch.randn(2, 5, 16, 40)).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in tower.named_parameters() if 'bos_eos' not in name}
    assert all(gradient is not None and gradient.any() for gradient in gradients.values())


def test_both_settings_travel_with_the_checkpoint(tmp_path):
    encoder, text = make(2, mix=True), make_tokenizer()
    language_model = make_language_model(text.get_vocab_size())
    defaults = StreamingDefaults(instruction='', response_threshold=0.5, max_context_chunks=8)
    (tmp_path / 'made.yaml').write_text('recipe: tiny\n')
    save_checkpoint(
        tmp_path / 'one', encoder, language_model, language_model.config, text, make_protocol(text), defaults,
        tmp_path / 'made.yaml',
    )  # fmt: skip
    loaded = load_encoder(tmp_path / 'one').encoder
    assert loaded.audio_tower.config == encoder.audio_tower.config
    torch.testing.assert_close(loaded(sound(4)), encoder(sound(4)), atol=0, rtol=0)
    shown = describe(tmp_path / 'one')['encoder']
    assert shown['left_context_chunks'] == 2 and shown['layer_mix'] is True


def test_a_checkpoint_from_before_them_has_neither(tiny_checkpoint, tmp_path):
    old = shutil.copytree(tiny_checkpoint, tmp_path / 'old')
    config = json.loads((old / 'config.json').read_text())
    assert not {'left_context_chunks', 'layer_mix'} & set(config['audio_config'])  # what is off is not written
    loaded = load_encoder(old).encoder.audio_tower.config
    assert loaded.left_context_chunks == 0 and loaded.layer_mix is False
    shown = describe(old)['encoder']
    assert shown['left_context_chunks'] == 0 and shown['layer_mix'] is False


def test_after_a_gap_the_node_hears_what_a_new_one_would():
    half = EncoderHalf(make(3, mix=True), '')
    pcm, start_ns = PcmFormat(16_000, 1, 'S16LE'), 10**18
    wave = sound(8).numpy()[:, None]

    def heard(*pieces: tuple[int, int]) -> list[torch.Tensor]:
        ingest = AudioIngest(half, 0)
        return [
            chunk.vectors
            for first, last in pieces
            for chunk in ingest.push(
                wave[first * CHUNK_SAMPLES : last * CHUNK_SAMPLES], pcm, start_ns + first * 400_000_000
            )
        ]

    whole, gap = heard((0, 8)), heard((0, 4), (6, 8))
    assert len(whole) == 8 and len(gap) == 6
    for ours, new in zip(gap[4:], heard((6, 8)), strict=True):
        torch.testing.assert_close(ours, new, atol=0, rtol=0)
    assert (gap[4] - whole[6]).abs().max() > 1e-3  # what came before the gap would have been heard
