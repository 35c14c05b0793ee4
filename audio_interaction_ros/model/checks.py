"""What must hold before a checkpoint is loaded or written; each check says in one sentence what does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor, nn

from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.weights import CheckpointError


def require_fit(module: nn.Module, outlines: Mapping[str, Tensor], where: Path) -> None:
    """Raise CheckpointError when tensors of these names and shapes are not all that `module` holds."""
    expected = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: list(tensor.shape) for name, tensor in outlines.items()}
    missing = sorted(expected.keys() - found.keys())
    unknown = sorted(found.keys() - expected.keys())
    other = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
    if not (wrong := missing + unknown + other):
        return
    first = wrong[0]
    raise CheckpointError(
        f"the weights in '{where}' do not fit its configuration ({len(missing)} tensors missing, {len(unknown)} "
        f"unknown, {len(other)} of another shape): '{first}' is {found.get(first, 'missing')}, "
        f'{expected.get(first, "no such tensor")} expected; restore the checkpoint'
    )


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer; raise CheckpointError for a file that is none."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"'{path}' cannot be read; restore it: {error}") from error


def require_control_tokens(protocol: Protocol, tokenizer: Tokenizer, vocabulary_size: int, path: Path) -> None:
    """Raise CheckpointError when a role's id is no token of the tokenizer at `path`, or has no embedding."""
    lacking = [id_ for id_ in sorted(protocol.special_ids()) if tokenizer.id_to_token(id_) is None]
    if lacking:
        raise CheckpointError(
            f"'{path}' has no token {lacking[0]}, which the protocol needs as {protocol.role_of(lacking[0])}"
            f'{_more(lacking)}; take the tokenizer that came with the weights'
        )
    lacking = [id_ for id_ in sorted(protocol.special_ids()) if id_ >= vocabulary_size]
    if lacking:
        raise CheckpointError(
            f'the model has {vocabulary_size} embeddings, none for token {lacking[0]}, which the protocol needs as '
            f'{protocol.role_of(lacking[0])}{_more(lacking)}; take weights and protocol from the same checkpoint'
        )


def _more(lacking: list[int]) -> str:
    return f' (nor {len(lacking) - 1} more)' if len(lacking) > 1 else ''
