"""Contract 2: streaming equals offline, and our batched tower equals the stock one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.logmel import HISTORY_SAMPLES, HOP_SAMPLES, CausalLogMel, mel_filters
from audio_interaction_ros.model.encoder import ChunkEncoder, StreamingEncoder
from audio_interaction_ros.model.shapes import AudioConfig
from tests.tiny_checkpoint import DIM, make_encoder

CHUNKS = 5


@pytest.fixture
def waveform():
    return 0.3 * torch.randn(CHUNKS * CHUNK_SAMPLES, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_streaming_equals_offline(encoder_half, waveform):
    offline = encoder_half.encoder(waveform)
    streaming = StreamingEncoder(encoder_half.encoder)
    chunks = torch.stack([streaming.encode(chunk) for chunk in waveform.split(CHUNK_SAMPLES)])
    assert offline.shape == chunks.shape == (CHUNKS, 10, DIM)
    torch.testing.assert_close(chunks, offline, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_no_chunk_sees_another(encoder_half, waveform):
    """Only the 240 samples before a chunk count besides its own; changing what is earlier or later changes nothing."""
    changed = waveform.clone()
    changed[: CHUNK_SAMPLES - HISTORY_SAMPLES] = 0.0
    changed[2 * CHUNK_SAMPLES :] = 0.0
    torch.testing.assert_close(encoder_half.encoder(changed)[1], encoder_half.encoder(waveform)[1], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_log_mel_is_causal(waveform):
    logmel, position = CausalLogMel(64), 3_200
    changed = waveform.clone()
    changed[position:] = 1.0
    frames = position // HOP_SAMPLES
    torch.testing.assert_close(logmel(changed)[:, :frames], logmel(waveform)[:, :frames], atol=0, rtol=0)
    assert not torch.equal(logmel(changed)[:, frames], logmel(waveform)[:, frames])


@pytest.fixture
def uneven():
    """Silence, then ever louder and again quiet noise: the maximum rises within chunks and between them."""
    loudness = torch.tensor([0.0, 1e-4, 1e-2, 0.9, 1e-6]).repeat_interleave(CHUNK_SAMPLES).roll(1_234)
    return loudness * torch.randn(5 * CHUNK_SAMPLES, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_with_a_running_maximum_streaming_equals_offline(uneven):
    torch.manual_seed(0)
    encoder = ChunkEncoder(make_encoder().audio_tower.config, 'running_maximum').eval()
    offline = encoder(uneven)
    streaming = StreamingEncoder(encoder)
    chunks = torch.stack([streaming.encode(chunk) for chunk in uneven.split(CHUNK_SAMPLES)])
    torch.testing.assert_close(chunks, offline, atol=1e-5, rtol=0)
    # The quiet end after the loud part is raised, so what came before it counts.
    streaming.reset()
    assert (streaming.encode(uneven[-CHUNK_SAMPLES:]) - chunks[-1]).abs().max() > 1e-4


def test_a_running_maximum_is_whispers_once_the_loudest_has_been_heard(uneven):
    """Before that, nothing but a floor that is still too low."""
    logmel = CausalLogMel(64, 'running_maximum')
    mel = logmel(uneven)
    whole = mel.maximum(mel.max() - 2.0)  # Whisper: 80 dB under the maximum of the whole, in units of 40 dB
    loudest = int(mel.amax(0).argmax())
    torch.testing.assert_close(mel[:, loudest:], whole[:, loudest:], atol=0, rtol=0)
    assert (mel[:, :loudest] < whole[:, :loudest]).any()
    assert (mel[:, 1:].amax(0) - mel[:, 1:].amin(0)).max() <= 2.0


@torch.inference_mode()
@pytest.mark.parametrize('mel_bins', [32, 64, 80, 128])
def test_the_mel_filters_are_whispers(mel_bins):
    assert np.allclose(mel_filters(mel_bins), WhisperFeatureExtractor(feature_size=mel_bins).mel_filters, atol=1e-9)


def test_a_running_maximum_is_causal(uneven):
    logmel, position = CausalLogMel(64, 'running_maximum'), 3_200
    changed = uneven.clone()
    changed[position:] = 1.0
    frames = position // HOP_SAMPLES
    torch.testing.assert_close(logmel(changed)[:, :frames], logmel(uneven)[:, :frames], atol=0, rtol=0)


def test_after_a_reset_a_stream_begins_anew(encoder_half, waveform):
    streaming = StreamingEncoder(encoder_half.encoder)
    first = streaming.encode(waveform[:CHUNK_SAMPLES])
    assert not torch.equal(streaming.encode(waveform[:CHUNK_SAMPLES]), first)
    streaming.reset()
    torch.testing.assert_close(streaming.encode(waveform[:CHUNK_SAMPLES]), first, atol=0, rtol=0)


def test_an_encoder_of_other_chunks_is_refused():
    with pytest.raises(ValueError, match='n_window is 50'):
        ChunkEncoder(AudioConfig(d_model=40, encoder_layers=1, n_window=50))


def test_streams_encoded_together_are_encoded_as_alone(encoder_half):
    sound = torch.randn(3, 4 * CHUNK_SAMPLES, generator=torch.Generator().manual_seed(5)) * 0.1
    together = StreamingEncoder(encoder_half.encoder, streams=3)
    alone = [StreamingEncoder(encoder_half.encoder) for _ in range(3)]
    for chunk in sound.unflatten(1, (4, CHUNK_SAMPLES)).unbind(1):
        expected = torch.stack([streaming.encode(row) for streaming, row in zip(alone, chunk, strict=True)])
        assert torch.allclose(together.encode(chunk), expected, atol=1e-5)
