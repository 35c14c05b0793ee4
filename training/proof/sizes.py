"""The two sizes of a proof: that of the released model for one GPU of 80 GB, and a miniature for any computer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audio_interaction_ros.bench.random_weights import RELEASED, Shapes
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from training.recipe import TrainingRecipe, load_training_recipe
from training.recipe_file import recipe_path

VOCABULARY = 300  # that of the synthetic corpus: letters, and the protocol's tokens
INSTRUCTION = 'Listen.'  # short, for the corpus writes it letter by letter
_TINY_AUDIO: dict[str, Any] = {
    'num_mel_bins': 16, 'd_model': 16, 'encoder_layers': 1, 'encoder_attention_heads': 2, 'encoder_ffn_dim': 32,
    'max_source_positions': 20, 'output_dim': 32,
}  # fmt: skip
_TINY_TEXT: dict[str, Any] = {
    'hidden_size': 32, 'intermediate_size': 48, 'num_hidden_layers': 2, 'num_attention_heads': 2,
    'num_key_value_heads': 1, 'max_position_embeddings': 1_024,
}  # fmt: skip
_SMALL_AUDIO = _TINY_AUDIO | {'num_mel_bins': 64, 'd_model': 192, 'encoder_layers': 3, 'encoder_attention_heads': 6}
_SMALL_AUDIO |= {'encoder_ffn_dim': 768, 'output_dim': 256}
_SMALL_TEXT = _TINY_TEXT | {'hidden_size': 256, 'intermediate_size': 704, 'num_hidden_layers': 4}
_SMALL_TEXT |= {'num_attention_heads': 4, 'num_key_value_heads': 2}


@dataclass(frozen=True)
class Size:
    """A `Size` says how large everything is that a part measures.

    `shapes` are those of the model that decodes, `small_audio` and `small_text` of the one whose losses are compared.
    `streams` are heard at once for so many `periods` of 400 ms, and a forward pass is timed `repeats` times;
    `graph_sessions` of `capacity` positions share the pool of the graphs that are compared. A step has `accumulation`
    batches; so many `warm_up` and `timed_steps` are made. Only where speeds are `judged` have they a goal. A part has
    `patience` times its budget, for a CPU may be busy.
    """

    name: Literal['full', 'miniature']
    shapes: Shapes
    small_audio: Mapping[str, Any]
    small_text: Mapping[str, Any]
    graph_sessions: int
    capacity: int
    streams: int
    periods: int
    repeats: int
    max_chunks: int
    max_positions: int
    accumulation: int
    warm_up: int
    timed_steps: int
    judged: bool
    patience: float

    def stage_4(self) -> TrainingRecipe:
        """Return the paper's recipe with its last stage alone, as one of its 32 GPUs runs it."""
        paper = load_training_recipe(recipe_path('paper'))
        shapes: dict[str, Any] = {}
        if self.name == 'miniature':
            shapes = {'audio': _TINY_AUDIO, 'text': _TINY_TEXT | {'vocab_size': VOCABULARY}}
        return _changed(paper, shapes, {'accumulation': self.accumulation}, self.max_positions, self.max_chunks)

    def small(self, steps: int, save_every_minutes: float) -> TrainingRecipe:
        """Return a recipe of one stage of so many steps, of a model that a CPU trains in seconds."""
        paper = load_training_recipe(recipe_path('paper'))
        shapes = {'audio': dict(self.small_audio), 'text': {**self.small_text, 'vocab_size': VOCABULARY}}
        stage: dict[str, Any] = {'steps': steps, 'accumulation': 2, 'learning_rate': 1e-3}
        stage['trainable'] = ('adapter', 'language_model', 'encoder')
        recipe = _changed(paper, shapes, stage, 512, 12)
        return recipe.model_copy(update={'save_every_minutes': save_every_minutes})


def _changed(
    paper: TrainingRecipe, shapes: Mapping[str, Any], stage: Mapping[str, Any], max_positions: int, max_chunks: int
) -> TrainingRecipe:
    """The paper's recipe for one process and the synthetic corpus, its last stage alone, with some values changed."""
    said = paper.model_dump(mode='json')
    for part, changes in shapes.items():
        said[part] |= changes
    if shapes:
        said['text'].pop('layer_types', None)
    said |= {'stages': [said['stages'][-1] | stage], 'devices': 1, 'vocabulary_size': VOCABULARY, 'generated': None}
    said |= {'instruction': INSTRUCTION}
    said |= {'max_positions': max_positions, 'validation_streams': 2}
    said['streams_corpus']['performance']['max_chunks'] = max_chunks
    return TrainingRecipe.model_validate(said)


FULL = Size(
    name='full', shapes=RELEASED, small_audio=_SMALL_AUDIO, small_text=_SMALL_TEXT, graph_sessions=8, capacity=2_048,
    streams=64, periods=25, repeats=200, max_chunks=60, max_positions=1_536, accumulation=16, warm_up=2, timed_steps=4,
    judged=True, patience=1.0,
)  # fmt: skip
MINIATURE = Size(
    name='miniature',
    shapes=Shapes(AudioConfig(n_window=20, **_TINY_AUDIO), TextConfig(vocab_size=2_048, **_TINY_TEXT)),
    small_audio=_TINY_AUDIO, small_text=_TINY_TEXT, graph_sessions=3, capacity=160, streams=4, periods=3, repeats=3,
    max_chunks=12, max_positions=320, accumulation=2, warm_up=1, timed_steps=2, judged=False, patience=10.0,
)  # fmt: skip
SIZES = {size.name: size for size in (FULL, MINIATURE)}
