"""Numbers of every kind answer alike, bytes take a quarter of the room, and a device that is not there is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from audio_interaction_ros.model.precision import (
    DECODER_PRECISIONS,
    ENCODER_PRECISIONS,
    Int8Linear,
    open_decoder,
    open_encoder,
    to_int8,
)
from audio_interaction_ros.nodes.parameters import ChunkEncoderParameters, DecoderParameters
from audio_interaction_ros.streaming.loop import make_session


@pytest.mark.parametrize('shape', [(1, 48), (3, 7, 48), (5, 20, 48)])
@pytest.mark.parametrize('bias', [True, False])
def test_bytes_stay_within_their_rounding_of_the_layer(shape, bias):
    torch.manual_seed(0)
    linear = nn.Linear(48, 20, bias=bias)
    x = torch.randn(shape)
    # Each weight is off by at most half a step of its row.
    bound = x.abs().sum(-1, keepdim=True) * linear.weight.abs().amax(1) / 127 / 2 + 1e-4
    if x[..., 0].numel() < 32:  # and a few rows, their scales and their products are rounded to bfloat16
        bound += 3 / 256 * (x.abs() @ linear.weight.abs().T)
    with torch.inference_mode():
        assert ((Int8Linear(linear)(x) - linear(x)).abs() <= bound).all()


def test_every_linear_layer_is_replaced_and_takes_a_quarter(decoder_half, tiny_checkpoint):
    half = open_decoder(str(tiny_checkpoint), precision='int8')
    layers = [m for m in half.language_model.modules() if isinstance(m, Int8Linear)]
    assert len(layers) == sum(isinstance(m, nn.Linear) for m in decoder_half.language_model.modules())
    assert not any(isinstance(m, nn.Linear) for m in half.language_model.modules())
    assert all(layer.weight.element_size() == 1 for layer in layers)
    to_int8(half.language_model)  # nothing is left to do


@pytest.mark.parametrize('precision', DECODER_PRECISIONS)
def test_a_session_in_other_numbers_decides_nearly_alike(precision, tiny_checkpoint, decoder_half):
    vectors = [torch.randn(10, 32, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    exact, other = make_session(decoder_half), make_session(open_decoder(str(tiny_checkpoint), precision=precision))
    for chunk in vectors:
        expected, found = exact.drain([chunk])[1], other.drain([chunk])[1]
        assert found == pytest.approx(expected, abs=1e-6 if precision in ('stored', 'float32') else 0.25)
        exact.cancel(), other.cancel()


@pytest.mark.parametrize('precision', ENCODER_PRECISIONS)
def test_an_encoder_in_other_numbers_hears_nearly_alike(precision, tiny_checkpoint, encoder_half):
    sound = torch.randn(6_400, generator=torch.Generator().manual_seed(1)) * 0.1
    with torch.inference_mode():
        expected, found = (
            encoder_half.encoder(sound),
            open_encoder(str(tiny_checkpoint), 'cpu', precision).encoder(sound),
        )
    assert torch.allclose(found.float(), expected, atol=1e-6 if precision in ('stored', 'float32') else 0.1)


def test_the_nodes_offer_what_there_is():
    for parameters, offered in ((ChunkEncoderParameters, ENCODER_PRECISIONS), (DecoderParameters, DECODER_PRECISIONS)):
        assert parameters.model_fields['precision'].annotation.__args__ == offered


def test_a_device_that_is_not_there_is_one_sentence(tiny_checkpoint):
    with pytest.raises(ValueError, match=r"device 'cuda:7' cannot be used \(.*\); give cpu"):
        open_decoder(str(tiny_checkpoint), 'cuda:7')
