"""One measure for all variants: decisions and words on the same unseen streams, each given the true history.

Chunks of another length than the runtime's cannot be run, so nothing here is: every control token and every token of a
reply is predicted from what the labels say came before it (teacher forcing). Counts are kept by stream, so that
variants can be compared stream by stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tqdm import tqdm

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.checkpoint import PROTOCOL, TOKENIZER
from audio_interaction_ros.model.protocol import Protocol
from training.metrics import best_threshold
from training.recipe import StageData, TrainingRecipe
from training.splits import SPLITS
from training.stages import TrainingError
from training.stages.collator import Batch, StreamCollator
from training.stages.dataset import ShardDataset
from training.stages.distributed import Devices
from training.stages.model import StreamModel, build, predict
from training.stages.preparation import CLASSES
from training.stages.validation import response_scores

Sums = Mapping[str, np.ndarray]

# Each from sums over streams. `hits` and `false`: at the threshold that decides most drains of the validation side
# right; `fair_hits` and `fair_false`: at the one with the best balanced accuracy there.
FIGURES: dict[str, Callable[[Sums], np.ndarray]] = {
    'trigger_accuracy': lambda s: (s['hits'] + s['silences'] - s['false']) / (s['responses'] + s['silences']),
    'always_silent': lambda s: s['silences'] / (s['responses'] + s['silences']),
    'balanced_accuracy': lambda s: (s['fair_hits'] / s['responses'] + 1 - s['fair_false'] / s['silences']) / 2,
    'response_recall': lambda s: s['hits'] / s['responses'],
    'false_triggers_per_hour': lambda s: s['false'] / s['hours'],
    'text_token_accuracy': lambda s: s['tokens_right'] / s['tokens'],
    'exact_replies': lambda s: s['exact'] / s['responses'],
    'due_to_decision_ms': lambda s: s['waited_ms'] / s['responses'],
}


class VariantScore(BaseModel):
    """A `VariantScore` is what a variant did on each test stream, by the names that `FIGURES` use.

    `train_s`: seconds of the sitting that ended its training.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    streams: tuple[str, ...]
    counts: dict[str, tuple[float, ...]]
    thresholds: dict[str, float]
    train_s: float


def score(recipe: TrainingRecipe, run: Path, weights: Path, corpus: Path, index: Path, train_s: float) -> VariantScore:
    """Score what `run` left in `weights` on the test side of `corpus`, through an `index` in the recipe's chunks.

    Raises TrainingError where the corpus has too few streams on the validation or the test side.
    """
    devices = Devices.join()
    protocol = Protocol.load(run / PROTOCOL)
    tokenizer = Tokenizer.from_file(str(run / TOKENIZER))
    classes = json.loads((run / CLASSES).read_text())
    dataset = ShardDataset(corpus, index, recipe.chunk_samples)
    collator = StreamCollator(dataset, StageData(form='online'), tokenizer, protocol, recipe.instruction, classes)
    model = build(recipe, tokenizer.get_vocab_size(), len(classes))
    model.load_state_dict(load_file(weights))
    model.to(devices.device).eval()
    logmel = CausalLogMel(recipe.audio.num_mel_bins, recipe.log_mel).to(devices.device)

    def heard(split: str) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        return _heard(model, logmel, collator, devices, split, recipe.stages[-1].batch)

    decided = [(_wanted(batch, protocol), scores) for batch, scores, _ in heard('validation')]
    wanted, scores = (np.concatenate(column) for column in zip(*decided, strict=True))
    if not wanted.any():
        raise TrainingError('nothing is to be said in any stream on the validation side; give more --hours')
    silence_weight = float((~wanted).sum() / wanted.sum())
    thresholds = {
        'hits': best_threshold(wanted, scores, silence_weight),
        'fair_hits': best_threshold(wanted, scores),
    }
    rows = [row for batch, given, right in heard('test') for row in _rows(batch, given, right, collator, thresholds)]
    rows.sort(key=lambda row: row[0])  # the batches were in order of length
    counts = {name: tuple(row[1][name] for row in rows) for name in rows[0][1]}
    if not sum(counts['responses']):
        raise TrainingError('nothing is to be said in any stream on the test side; give more --hours')
    return VariantScore(streams=tuple(row[0] for row in rows), counts=counts, thresholds=thresholds, train_s=train_s)


def _wanted(batch: Batch, protocol: Protocol) -> np.ndarray:
    return (batch.stream_targets == protocol.response).cpu().numpy()


def _heard(
    model: StreamModel, logmel: CausalLogMel, collator: StreamCollator, devices: Devices, split: str, size: int
) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
    """Batches of one side with P(response) at every drain, float32 [n], and which tokens are predicted, bool [m]."""
    # All of them, however many positions they have: every chunk length is scored on the same streams.
    places = np.flatnonzero(collator.dataset.rows['split'] == SPLITS.index(split))
    if not len(places):
        raise TrainingError(f'the corpus has no stream on the {split} side; give more --hours')
    places = places[np.argsort(collator.dataset.rows['chunks'][places], kind='stable')]
    parts = [places[at : at + size] for at in range(0, len(places), size)]
    for part in tqdm(parts, desc=split, unit='batch', leave=False):
        batch = collator.collate(part).to(devices.device)
        stream_logits, lm_logits, _ = predict(model, logmel, batch, devices)
        right = lm_logits.argmax(-1) == batch.lm_targets
        yield batch, response_scores(stream_logits, collator).cpu().numpy(), right.cpu().numpy()


def _rows(
    batch: Batch, scores: np.ndarray, right: np.ndarray, collator: StreamCollator, thresholds: Mapping[str, float]
) -> Iterator[tuple[str, dict[str, float]]]:
    """(stream, its counts) of a batch."""
    wanted, stream_of = _wanted(batch, collator.protocol), batch.stream_of.cpu().numpy()
    lm_of, ends = batch.lm_of.cpu().numpy(), (batch.lm_targets == collator.protocol.eos).cpu().numpy()
    # A reply is what comes up to and with its end; it is exact if no token of it is wrong.
    wrong = np.bincount(np.cumsum(ends) - ends, weights=~right, minlength=1)
    exact_of = lm_of[ends][wrong[: ends.sum()] == 0]
    for row, place in enumerate(batch.places.tolist()):
        stream, mine = collator.dataset.record(place), stream_of == row
        samples = collator.dataset.chunk_samples
        waited = [
            (drain.last + 1) * samples - stream.replies[drain.reply].due
            for drain in stream.drains
            if drain.reply is not None
        ]
        counts = {
            'responses': float(wanted[mine].sum()),
            'silences': float((~wanted[mine]).sum()),
            'tokens': float((lm_of == row).sum()),
            'tokens_right': float(right[lm_of == row].sum()),
            'exact': float((exact_of == row).sum()),
            'waited_ms': 1_000 * sum(waited) / SAMPLE_RATE_HZ,
            'hours': stream.chunks * samples / SAMPLE_RATE_HZ / 3_600,
        }
        for hits, false in (('hits', 'false'), ('fair_hits', 'fair_false')):
            given = scores[mine] >= thresholds[hits]
            counts |= {hits: float((given & wanted[mine]).sum()), false: float((given & ~wanted[mine]).sum())}
        yield stream.id, counts
