"""`inspect`: streams of every ability through the network as in training, with hooks in it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from audio_interaction_ros.model.checkpoint import PROTOCOL, TOKENIZER, find_checkpoint
from audio_interaction_ros.model.stock import stock_model
from training.evaluate.hearing import Listener
from training.inspect import InspectionError, continuity, heads
from training.inspect.continuity import Cosines
from training.inspect.heads import HeadScores
from training.recipe import StageData
from training.scripts.script import taxonomy
from training.splits import SPLITS
from training.stages import attention
from training.stages.collator import StreamCollator
from training.stages.dataset import ShardDataset
from training.stages.index import index_corpus
from training.stages.model import StreamModel, heard_chunks

_BATCH = 8


@dataclass(frozen=True)
class Inspection:
    """An `Inspection` is what was found in each stream.

    `category_of` holds one name a stream, `without` the categories that have none.
    """

    places: list[str]
    category_of: np.ndarray
    without: list[str]
    cosines: Cosines
    heads: HeadScores

    def groups(self) -> dict[str, np.ndarray]:
        """Return which streams are meant by 'all' and by each category, bool [streams]."""
        present = [name for name in taxonomy() if name in self.category_of]
        return {'all': np.ones(len(self.category_of), bool)} | {name: self.category_of == name for name in present}


def inspect(checkpoint: str, device: str, corpus: Path, split: str, streams: int) -> Inspection:
    """Look at up to `streams` streams of each category on one side of a corpus.

    Raises CheckpointError, TrainingError for shards that cannot be read or written with the checkpoint's tokenizer, and
    InspectionError where there are no streams.
    """
    folder = find_checkpoint(checkpoint)
    listener = Listener.load(folder, device)
    model, instruction = stream_model(listener), listener.decoder.config.streaming.instruction
    language = model.language_model
    with tempfile.TemporaryDirectory() as index:
        index_corpus(corpus, folder / TOKENIZER, folder / PROTOCOL, instruction, Path(index))
        dataset = ShardDataset(corpus, Path(index))
        chosen = _choose(dataset, corpus, split, streams, language.config.max_position_embeddings)
        online = StageData(form='online')
        collator = StreamCollator(
            dataset, online, listener.decoder.tokenizer, listener.decoder.protocol, instruction, ()
        )
        cosines: list[Cosines] = []
        scores: list[HeadScores] = []
        parts = np.split(chosen, range(_BATCH, len(chosen), _BATCH))
        passes = 1 + language.config.num_hidden_layers * language.config.num_attention_heads
        with tqdm(total=len(parts) * passes, desc=f'{len(chosen)} streams', unit='pass') as bar:
            for part in parts:
                batch = collator.collate(part).to(torch.device(device))
                with torch.inference_mode():
                    mel = heard_chunks(listener.encoder.encoder.logmel(batch.waveforms), batch, augment=False)
                cosines.append(continuity.measure(model, mel, batch))
                bar.update()
                scores.append(heads.measure(model, mel, batch, collator.protocol.response, bar.update))
        categories = np.array(list(taxonomy()))[dataset.rows['category'][chosen]]
    return Inspection(
        places=continuity.places(model),
        category_of=categories,
        without=[name for name in taxonomy() if name not in categories],
        cosines=Cosines.join(cosines),
        heads=HeadScores.join(scores),
    )


def stream_model(listener: Listener) -> StreamModel:
    """Return a checkpoint's network as it is in training, with the numbers that it decides by on a robot."""
    language = stock_model(listener.decoder.language_model)
    # The same numbers, without what a sliding window never sees.
    language.set_attn_implementation(attention.NAME)
    return StreamModel(listener.encoder.encoder.audio_tower, language, event_classes=0)


def _choose(dataset: ShardDataset, corpus: Path, split: str, streams: int, max_positions: int) -> np.ndarray:
    """Places in the corpus, evenly spread over it, in order of length so that batches have little padding."""
    rows = dataset.rows
    usable = (rows['split'] == SPLITS.index(split)) & (rows['positions'] <= max_positions)
    found = [np.flatnonzero(usable & (rows['category'] == number)) for number in range(len(taxonomy()))]
    spread = [places[np.linspace(0, len(places) - 1, min(streams, len(places))).astype(int)] for places in found]
    chosen = np.concatenate(spread)
    if not len(chosen):
        raise InspectionError(
            f"'{corpus}' has {len(rows)} streams, but none on the {split} side that fits into the {max_positions} "
            'positions of the language model; build more hours, or give another --split'
        )
    return chosen[np.argsort(rows['positions'][chosen], kind='stable')]
