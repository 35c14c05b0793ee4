"""A network in miniature with Kokoro's inputs and outputs, which hums at a pitch that its style names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file

LETTERS = ' .,!?abdefhijklmnoprstuvwzæðŋɐɑɔəɛɜɡɪɹɾʃʊʌʒʤʧθˈˌᵻAIOWY'


def write_miniature(folder: Path) -> Path:
    """Write a network in which every symbol lasts eight frames of 25 ms at speed 1, and hums."""

    def constant(name: str, *values: float) -> onnx.NodeProto:
        return helper.make_node(
            'Constant', [], [name], value=helper.make_tensor(name, TensorProto.FLOAT, [len(values)], values)
        )

    nodes = [
        constant('none', 0.0), constant('eight', 8.0), constant('one', 1.0), constant('samples', 600.0),
        constant('turn', 2 * np.pi / 24_000),
        helper.make_node('Cast', ['tokens'], ['numbers'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['numbers', 'none'], ['nones']),
        helper.make_node('Add', ['nones', 'eight'], ['eights']),
        helper.make_node('Div', ['eights', 'speed'], ['frames']),
        helper.make_node('Round', ['frames'], ['rounded']),
        helper.make_node('Max', ['rounded', 'one'], ['/encoder/Clip_output_0']),
        helper.make_node('ReduceSum', ['/encoder/Clip_output_0'], ['all'], keepdims=0),
        helper.make_node('Mul', ['all', 'samples'], ['length']),
        helper.make_node('ReduceMean', ['style'], ['hertz'], keepdims=0),
        helper.make_node('Mul', ['hertz', 'turn'], ['step']),
        *(helper.make_node('Squeeze', [name], [f'{name}_0']) for name in ('length', 'none', 'one')),
        helper.make_node('Range', ['none_0', 'length_0', 'one_0'], ['times']),
        helper.make_node('Mul', ['times', 'step'], ['angles']),
        helper.make_node('Sin', ['angles'], ['audio']),
    ]  # fmt: skip
    inputs = [
        helper.make_tensor_value_info('tokens', TensorProto.INT64, [1, 'n']),
        helper.make_tensor_value_info('style', TensorProto.FLOAT, [1, 256]),
        helper.make_tensor_value_info('speed', TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info('audio', TensorProto.FLOAT, ['m'])]
    graph = helper.make_graph(nodes, 'miniature', inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    folder.mkdir()
    onnx.save(model, folder / 'model.onnx')
    (folder / 'vocab.json').write_text(json.dumps({'vocab': {symbol: 1 + n for n, symbol in enumerate(LETTERS)}}))
    hertz = {f'style {number}': np.full((120, 1, 256), 200.0 * (1 + number), np.float32) for number in range(3)}
    save_file(hertz, folder / 'voices.safetensors')
    return folder
