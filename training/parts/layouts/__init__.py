"""The layouts that weights come in, told apart by their first bytes, never by their names."""

from __future__ import annotations

from pathlib import Path

from training.parts import PartsError

KNOWN = "a safetensors file, OpenAI's .pt, a Whisper model of CTranslate2, a GGUF file or an ONNX file"
SAFETENSORS, OPENAI, CTRANSLATE2, GGUF, ONNX = 'safetensors', 'openai', 'ctranslate2', 'gguf', 'onnx'


def layout_of(path: Path) -> str:
    """Return the layout of a file of weights; raise PartsError for one that begins like none of them."""
    with path.open('rb') as file:
        head = file.read(32)
    if head.startswith(b'GGUF'):
        return GGUF
    if head.startswith(b'PK\x03\x04'):
        return OPENAI
    if b'Spec\x00' in head and head[2:4] == b'\x00\x00':
        return CTRANSLATE2
    if head[8:9] == b'{':
        return SAFETENSORS
    if head.startswith(b'\x08') and b'\x12' in head:  # field 1, the version, and field 2, who wrote it
        return ONNX
    raise PartsError(f"'{path}' is of an unknown layout: {KNOWN} expected; look whether it is the weights' file")
