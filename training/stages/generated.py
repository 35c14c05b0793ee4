"""Generated evaluation: what a network in training says when it hears streams as a robot does.

Validation asks for the next token of what the labels say; here the network decides, and speaks, by itself. Every
process hears its share of the streams, in the runtime's own session, and the first one sums up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from audio_interaction_ros.audio.formats import Samples
from training.evaluate.corpus import heard_figures
from training.evaluate.hearing import Listener
from training.evaluate.replies import Comparison, compare
from training.evaluate.report import ten
from training.files import write_tensors, write_whole
from training.recipe import Generated
from training.stages import TrainingError
from training.stages.dataset import ShardDataset
from training.stages.deciding import Deciding
from training.stages.distributed import Devices
from training.stages.export import Export
from training.stages.model import StreamModel

_BEST, _SCORE = 'best.safetensors', 'best.json'  # of a stage


@dataclass(frozen=True)
class Sample:
    """A `Sample` is a stream that was heard: its sound, float32 [n] at 16 kHz, and in `text` what was said, and due."""

    title: str
    text: str
    samples: Samples


@dataclass(frozen=True)
class Said:
    """A `Said` holds the figures of a generated evaluation, `score` among them, and ten samples."""

    figures: dict[str, float]
    samples: tuple[Sample, ...]


class GeneratedEvaluation:
    """A `GeneratedEvaluation` has a network hear always the same streams of the validation side.

    Raises TrainingError where the corpus has none.
    """

    def __init__(self, settings: Generated, export: Export, dataset: ShardDataset, devices: Devices) -> None:
        self.settings = settings
        self._export, self._dataset, self._devices = export, dataset, devices
        self.events = export.events
        places = dataset.places['validation']
        if not len(places):
            raise TrainingError(
                'the recipe wants a generated evaluation and the corpus has no stream on the validation side; build '
                'a longer corpus, or take generated out of the recipe'
            )
        self._places = places[np.linspace(0, len(places) - 1, min(settings.streams, len(places))).astype(int)]

    def hear(self, model: StreamModel, deciding: Deciding, folder: Path) -> Said | None:
        """Return what the network says, deciding so, to the first process; every process calls it.

        `folder` is for the checkpoint that it is heard as.
        """
        devices, checkpoint = self._devices, folder / 'generated'
        if devices.is_main:
            self._export.write(checkpoint, model, deciding)
        devices.barrier()
        listener = Listener.load(checkpoint, str(devices.device))
        mine = [self._compare(listener, int(place)) for place in self._places[devices.rank :: devices.world]]
        heard = sorted(devices.gathered(mine), key=lambda found: found[0])
        if not devices.is_main:
            return None
        comparisons = [comparison for _, comparison in heard]
        shown = ten(heard, lambda found: bool(found[1].false) or not all(a.right for a in found[1].answers))
        return Said(_scalars(comparisons), tuple(self._sample(place, comparison) for place, comparison in shown))

    def keep_best(self, model: StreamModel, said: Said, step: int, folder: Path) -> None:
        """Keep the weights if they score higher than any before in this stage; called by the first process."""
        kept = folder / _SCORE
        before = json.loads(kept.read_text())['score'] if kept.exists() else -1.0
        if said.figures['score'] > before:
            write_tensors(model.state_dict(), folder / _BEST)
            write_whole(kept, json.dumps({'step': step, **said.figures}, indent=1).encode())

    def take_best(self, model: StreamModel, folder: Path) -> None:
        """Give the network the best weights of a stage; called by every process."""
        model.load_state_dict(load_file(folder / _BEST, device=str(self._devices.device)))

    def _compare(self, listener: Listener, place: int) -> tuple[int, Comparison]:
        stream = self._dataset.record(place)
        chunks = listener.encode(self._dataset.samples(place, stream.chunks))
        return place, compare(stream, listener.hear(chunks, instruction=stream.instruction, aloud=stream.aloud))

    def _sample(self, place: int, comparison: Comparison) -> Sample:
        stream = comparison.stream
        lines = [
            f'due: {answer.reply.text}  \nsaid: {answer.response.text if answer.response else "(nothing)"}'
            f'{"" if answer.right else "  **wrong**"}'
            for answer in comparison.answers
        ]
        lines += [f'said without cause: {response.text}' for response in comparison.false]
        title = f'{stream.category} / {stream.task}'
        asked = f'instruction: {stream.instruction}' if stream.instruction else 'general instruction'
        text = '\n\n'.join([f'{stream.id}: {title}', asked, *lines])
        return Sample(title, text, self._dataset.samples(place, stream.chunks))


def _scalars(comparisons: list[Comparison]) -> dict[str, float]:
    """Those figures of `evaluate corpus` that there are, each as one number, and the score that is to be high.

    The score is the mean of two shares: replies that were given and right, and silences that were kept.
    """
    found = heard_figures(comparisons, seed=0)
    due = [answer.right for comparison in comparisons for answer in comparison.answers]
    quiet = [silence.response is None for comparison in comparisons for silence in comparison.silences]
    shares = {'replies_right': due, 'silences_kept': quiet}
    figures = {name: float(np.mean(values)) for name, values in shares.items() if values}
    named = {
        'false_responses_per_hour': found['false_alarms_per_hour'],
        'hazards_in_category': found['hazards_in_category']['share'],
        'history_questions': found['history_questions']['share'],
        'wer': found['asr']['wer'],
        'cer_chinese': found['asr_chinese']['cer'],
        **{f'instructions_{how}': told['share'] for how, told in found['instructions'].items()},
        **{f'bleu_{language}': translated['bleu'] for language, translated in found['translation'].items()},
    }
    score = float(np.mean(list(figures.values()))) if figures else 0.0
    return {'score': score} | figures | {name: float(value) for name, value in named.items() if value is not None}
