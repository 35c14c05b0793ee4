"""Whisper as CTranslate2 stores it: one binary file, little-endian, projections of attention stacked.

The file: version, name, revision, count; for each tensor name, rank, dimensions, type, bytes and data; then the names
that stand for others. A text is its length in two bytes, then itself with a closing zero.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from training.parts import PartsError

VERSIONS = range(4, 7)  # 4 brought the type of each tensor
_DTYPES = {0: torch.float32, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.float16, 5: torch.bfloat16}
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_LAYER = re.compile(r'(encoder|decoder)/layer_(\d+)/(.+)/(weight|bias|gamma|beta)')
_KINDS = {'weight': 'weight', 'bias': 'bias', 'gamma': 'weight', 'beta': 'bias'}
_IN_LAYER = {
    'self_attention/layer_norm': ('self_attn_layer_norm',),
    'self_attention/linear_0': ('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'),
    'self_attention/linear_1': ('self_attn.out_proj',),
    'attention/layer_norm': ('encoder_attn_layer_norm',),
    'attention/linear_0': ('encoder_attn.q_proj',),
    'attention/linear_1': ('encoder_attn.k_proj', 'encoder_attn.v_proj'),
    'attention/linear_2': ('encoder_attn.out_proj',),
    'ffn/layer_norm': ('final_layer_norm',),
    'ffn/linear_0': ('fc1',),
    'ffn/linear_1': ('fc2',),
}
_OUTSIDE = {
    'position_encodings/encodings': 'embed_positions.weight',
    'embeddings/weight': 'embed_tokens.weight',
    'layer_norm/gamma': 'layer_norm.weight',
    'layer_norm/beta': 'layer_norm.bias',
}


class _Reader:
    """A `_Reader` goes through a file's bytes and says so when they end too early."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = memoryview(bytearray(path.read_bytes()))  # an array, because PyTorch wants to be able to write
        self._at = 0

    def take(self, count: int) -> memoryview:
        if self._at + count > len(self._bytes):
            raise PartsError(
                f"'{self._path}' is cut off: it ends at byte {len(self._bytes)}, where {self._at + count} at least "
                'are needed; fetch it again'
            )
        self._at += count
        return self._bytes[self._at - count : self._at]

    def number(self, code: str) -> int:
        (value,) = struct.unpack(f'<{code}', self.take(struct.calcsize(f'<{code}')))
        return int(value)

    def text(self) -> str:
        return bytes(self.take(self.number('H'))).rstrip(b'\x00').decode('utf-8', 'replace')


def read(path: Path) -> dict[str, Tensor]:
    """Return all tensors under the names of `WhisperModel`, as stored.

    Raises PartsError: another version or model than can be read, a file that is cut off, quantised weights, a tensor
    that Whisper has not, a key bias (Whisper's keys have none: CTranslate2 stores zeros).
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in _stored(path):
        for new, piece in _renamed(name, tensor, path):
            if new.endswith('k_proj.bias'):
                if bool(piece.any()):
                    raise PartsError(f"'{path}' has a key bias in {name}, and Whisper has none; fetch it again")
                continue
            tensors[new] = piece
    return tensors


def _stored(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield names and tensors as they are stored, without the scalars (settings of the library)."""
    reader = _Reader(path)
    version = reader.number('I')
    if version not in VERSIONS:
        raise PartsError(
            f"'{path}' is of version {version} of CTranslate2's format, {VERSIONS[0]} to {VERSIONS[-1]} expected; "
            'convert it with a CTranslate2 that writes such'
        )
    if (spec := reader.text()) != 'WhisperSpec':
        raise PartsError(f"'{path}' is a {spec} of CTranslate2, a WhisperSpec expected; give a Whisper model")
    reader.number('I')  # the revision of the model's description
    for _ in range(reader.number('I')):
        name = reader.text()
        shape = [reader.number('I') for _ in range(reader.number('B'))]
        dtype = _DTYPES.get(kind := reader.number('B'))
        data = reader.take(reader.number('I'))
        if not shape:
            continue
        if dtype not in _FLOATS:
            raise PartsError(
                f"'{path}' holds {name} as {dtype or f'type {kind}'}, floating point expected; "
                'take weights that are not quantised (float16)'
            )
        flat = torch.frombuffer(data, dtype=dtype) if len(data) else torch.empty(0, dtype=dtype)
        if flat.numel() != torch.Size(shape).numel():
            raise PartsError(f"'{path}' has {flat.numel()} numbers in {name}, {shape} expected; fetch it again")
        yield name, flat.reshape(shape)
    for _ in range(reader.number('I')):  # other names of tensors that are there: the tied output projection
        reader.text()
        reader.text()


def _renamed(name: str, tensor: Tensor, path: Path) -> Iterator[tuple[str, Tensor]]:
    if match := _LAYER.fullmatch(name):
        half, layer, module, kind = match.groups()
        if (parts := _IN_LAYER.get(module)) is not None and len(tensor) % len(parts) == 0:
            for part, piece in zip(parts, tensor.chunk(len(parts)), strict=True):
                yield f'{half}.layers.{layer}.{part}.{_KINDS[kind]}', piece
            return
    half, _, rest = name.partition('/')
    if half in ('encoder', 'decoder'):
        if rest in _OUTSIDE:
            yield f'{half}.{_OUTSIDE[rest]}', tensor
            return
        if half == 'encoder' and rest.startswith('conv'):
            yield name.replace('/', '.'), tensor
            return
        if name == 'decoder/projection/weight':  # tied to the embeddings
            return
    raise PartsError(
        f"'{path}' holds {name} {list(tensor.shape)}, which is no tensor of Whisper's; give a Whisper model"
    )
