"""Where and in which numbers a model runs: device, float type, or weights of eight bits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf, find_checkpoint, load_decoder, load_encoder

_DTYPES = {'stored': None, 'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
ENCODER_PRECISIONS = tuple(_DTYPES)
DECODER_PRECISIONS = (*_DTYPES, 'int8')
# Up to here reading the weights is what takes the time, and the kernel that reads them as bytes is the faster.
_FEW_ROWS = 32


class Int8Linear(nn.Module):
    """An `Int8Linear` is a linear layer whose weights are bytes, with a scale for each output.

    A few rows are multiplied in bfloat16.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp_min(1e-12) / 127
        self.register_buffer('weight', (weight / scales[:, None]).round().to(torch.int8))
        self.register_buffer('scales', scales.to(linear.weight.dtype))
        self.register_buffer('low_scales', self.scales.to(torch.bfloat16))
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """Multiply [..., in] to [..., out]."""
        rows = x.flatten(0, -2)
        if len(rows) > _FEW_ROWS:
            y = F.linear(rows, self.weight.to(x.dtype)) * self.scales
        else:  # the kernel for bfloat16 is eleven times as fast as the one for float32
            y = torch._weight_int8pack_mm(rows.to(torch.bfloat16), self.weight, self.low_scales).to(x.dtype)
        y = y.unflatten(0, x.shape[:-1])
        return y if self.bias is None else y + self.bias


def to_int8(module: nn.Module) -> None:
    """Replace every linear layer within `module`; embeddings and norms stay as they are."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Int8Linear(child))
        else:
            to_int8(child)


def open_encoder(checkpoint: str, device: str = 'cpu', precision: str = 'stored') -> EncoderHalf:
    """Load a checkpoint's encoder by name or directory.

    Raises CheckpointError, and ValueError for an unusable device.
    """
    require_device(device)
    return load_encoder(find_checkpoint(checkpoint), device, _DTYPES[precision])


def open_decoder(checkpoint: str, device: str = 'cpu', precision: str = 'stored') -> DecoderHalf:
    """Load a checkpoint's language model by name or directory; raise as `open_encoder`."""
    require_device(device)
    half = load_decoder(find_checkpoint(checkpoint), device, _DTYPES.get(precision))
    if precision == 'int8':
        to_int8(half.language_model)
    return half


def open_halves(checkpoint: str, device: str = 'cpu', precision: str = 'stored') -> tuple[EncoderHalf, DecoderHalf]:
    """Load both halves; `precision` is the language model's, and the encoder's where it can be.

    Raises as `open_encoder`.
    """
    of_encoder = precision if precision in ENCODER_PRECISIONS else 'stored'
    return open_encoder(checkpoint, device, of_encoder), open_decoder(checkpoint, device, precision)


def require_device(device: str) -> None:
    """Raise ValueError, one sentence, unless PyTorch can compute there."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device '{device}' cannot be used ({reason}); give cpu") from error
