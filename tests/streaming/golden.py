"""What the shipped checkpoint makes of the demo scene, kept in golden.json and written anew, on purpose, with:

python -m tests.streaming.golden
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.model.checkpoint import find_checkpoint, load_decoder, load_encoder
from audio_interaction_ros.resources import shared_path
from audio_interaction_ros.streaming.loop import Decision, listen

GOLDEN = Path(__file__).with_name('golden.json')


def hear_demo_scene() -> dict[str, Any]:
    """Every decision's P(response), in the order of the chunks, and what was said after which chunk."""
    torch.set_num_threads(1)  # as in the nodes: the numbers do not depend on how many cores there are
    directory, scene = find_checkpoint('embedded'), shared_path('demo/scene.flac')
    assert scene is not None
    encoder, decoder = load_encoder(directory), load_decoder(directory)
    probabilities, responses = [], []
    for event in listen(encoder, decoder, read_recording(scene).samples):
        if isinstance(event, Decision):
            assert event.chunk.index == len(probabilities)
            probabilities.append(round(event.probability, 6))
        elif event.final:
            responses.append({'chunk': event.decision.chunk.index, 'emotion': event.emotion, 'text': event.text})
    return {
        'checkpoint': f'{encoder.digest}-{decoder.digest}', 'p_response': probabilities, 'responses': responses
    }  # fmt: skip


if __name__ == '__main__':
    heard = hear_demo_scene()
    GOLDEN.write_text(json.dumps(heard, indent=1, ensure_ascii=False) + '\n')
    print(f'{GOLDEN}: {len(heard["p_response"])} decisions, {len(heard["responses"])} responses')
