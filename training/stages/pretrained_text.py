"""The language model's first weights, and its tokenizer, from a pretrained one as transformers has it.

Its table has a row for every token, those of the protocol among them: where the tokenizer keeps spare ids these are
used, else tokens are added after its own. Rows of the pretrained table for which there is no token are left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from tokenizers import Tokenizer

from audio_interaction_ros.model.checks import read_tokenizer
from audio_interaction_ros.model.control_tokens import with_control_rows, words_of_roles
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.shapes import TextConfig
from audio_interaction_ros.model.stock import StockModel
from audio_interaction_ros.model.weights import INDEX, WEIGHTS, Weights, open_weights
from training.recipe import TEXT_PARTS, TrainingRecipe
from training.recipe_file import RecipeError
from training.stages.pretrained import PARTS
from training.tokens import add_control_tokens

_CONFIG, _TOKENIZER = 'config.json', 'tokenizer.json'
_TABLES = _EMBEDDINGS, _HEAD = 'model.embed_tokens.weight', 'lm_head.weight'
# What holds no weights and may be otherwise in a recipe; the tables have the size that the tokenizer asks for.
_FREE = {'vocab_size', 'max_position_embeddings', 'sliding_window', 'layer_types'}


@dataclass(frozen=True)
class PretrainedText:
    """A `PretrainedText` is a language model on disk, opened; its weights are read when they are needed.

    `tokenizer` has the tokens of `protocol`, of which `eos` is the model's own, `own_eos`, where it has one.
    """

    directory: Path
    config: TextConfig
    weights: Weights
    tokenizer: Tokenizer
    protocol: Protocol
    own_eos: int | None

    @classmethod
    def open(cls, text_init: str) -> PretrainedText:
        """Open what a recipe's `text_init` names, reading headers only.

        Raises RecipeError where there is none or of another family, CheckpointError for files that are damaged.
        """
        directory = _directory(text_init)
        path = directory / _CONFIG
        try:
            said = json.loads(path.read_text())
            config = TextConfig(**said)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]['msg'].removeprefix('Value error, ')
            raise RecipeError(f"'{path}' is of no language model that runs here: {problem}") from error
        except (OSError, ValueError, TypeError) as error:
            raise RecipeError(f"'{path}' describes no language model ({error}); restore it") from error
        tokenizer = read_tokenizer(directory / _TOKENIZER)
        ends = said.get('eos_token_id')
        eos = ends[0] if isinstance(ends, list) and ends else ends
        own_eos = eos if isinstance(eos, int) and tokenizer.id_to_token(eos) is not None else None
        protocol = add_control_tokens(tokenizer, own_eos)
        return cls(directory, config, open_weights(directory), tokenizer, protocol, own_eos)

    def require_fit(self, recipe: TrainingRecipe) -> None:
        """Raise RecipeError, one sentence, where the recipe's language model has other shapes, or the weights do."""
        rows = self.tokenizer.get_vocab_size()
        if recipe.text.vocab_size is not None and recipe.text.vocab_size < rows:
            raise RecipeError(
                f"recipe '{recipe.name}' has text.vocab_size {recipe.text.vocab_size}, and the tokenizer in "
                f"'{self.directory}' has {rows} tokens with those of the protocol; give that, or leave it out"
            )
        text = recipe.text.config(rows)
        free = _FREE | ({'tie_word_embeddings'} if self.config.tie_word_embeddings else set())  # one table begins two
        wanted, there = (config.model_dump(mode='json', exclude=free) for config in (text, self.config))
        if other := [name for name in wanted if wanted[name] != there[name]]:
            ours, theirs = (', '.join(f'{name} {values[name]}' for name in other) for values in (wanted, there))
            raise RecipeError(
                f"recipe '{recipe.name}' has {ours} in text, and the language model in '{self.directory}', which it is "
                f'to start from, has {theirs}; give the recipe those, or another text_init'
            )
        with torch.device('meta'):
            expected = {name: list(tensor.shape) for name, tensor in LanguageModel(self.config).state_dict().items()}
        found = {name: list(outline.shape) for name, outline in self.weights.outlines.items()}
        if wrong := [name for name in expected if found.get(name) != expected[name]]:
            raise RecipeError(
                f"the weights in '{self.directory}' do not fit its {_CONFIG}: {wrong[0]} is "
                f'{found.get(wrong[0], "missing")}, {expected[wrong[0]]} expected; restore it'
            )
        if unknown := sorted(found.keys() - expected.keys() - {_HEAD}):  # a head that is tied may be there, twice
            raise RecipeError(f"'{self.directory}' has {unknown[0]}, which no such model has; give another text_init")

    @torch.no_grad()
    def fill(self, language_model: StockModel) -> None:
        """Copy the weights into a network that fits; control tokens begin as their words."""
        words = words_of_roles(self.protocol, self.tokenizer, {self.own_eos})
        for name, tensor in language_model.state_dict().items():
            if name not in _TABLES:
                tensor.copy_(self.weights[name])
                continue
            stored = self.weights[_EMBEDDINGS if self.config.tie_word_embeddings else name]
            rows = min(len(stored), len(tensor))
            tensor[:rows] = stored[:rows].to(tensor)
            tensor.copy_(with_control_rows(tensor, words))


def _directory(text_init: str) -> Path:
    directory = PARTS / text_init if text_init in TEXT_PARTS else Path(text_init).expanduser()
    there = any((directory / file).is_file() for file in (WEIGHTS, INDEX))
    if not there or not (directory / _TOKENIZER).is_file():
        lacking = _TOKENIZER if there else WEIGHTS
        cure = (
            f'write it with: python -m training parts {text_init} --out {PARTS}, or give the directory where it is'
            if text_init in TEXT_PARTS
            else f'give a directory that has one, or one of {", ".join(TEXT_PARTS)}'
        )
        raise RecipeError(f"text_init is '{text_init}', and there is no {lacking} in '{directory}'; {cure}")
    return directory
