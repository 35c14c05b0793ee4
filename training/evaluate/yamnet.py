"""YAMNet, from a .tflite file: the scores of AudioSet's 521 classes for the second before every decision.

It is what a robot would use instead, so it stands beside a checkpoint in `evaluate clips --against`. The file needs the
package ai-edge-litert, and names of its classes: those inside it, where it was packed with them, else the
yamnet_class_map.csv that its publisher gives out with it, in the same folder.
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from training.evaluate import EvaluationError

WINDOW = 15_600  # samples at 16 kHz, 0.975 s: what the network hears at once
CLASSES = 521
_NAMES = 'yamnet_class_map.csv'


class Yamnet:
    """A `Yamnet` is the network, and `names`, what AudioSet calls each class, in lower case.

    Raises EvaluationError for a file that is not YAMNet, without names, and without the package.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise EvaluationError(f"no file '{path}'; give YAMNet's .tflite file to --against")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise EvaluationError(
                f"--against needs the package ai-edge-litert ({error}); run '.venv/bin/python -m pip install "
                "ai-edge-litert', or tools/setup.sh train yardstick"
            ) from error
        try:
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = ' '.join(str(error).split())[:120]
            raise EvaluationError(f"'{path}' is no .tflite file ({reason}); give YAMNet's") from error
        (sound,), scores = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shape, outputs = tuple(sound['shape']), [tuple(one['shape']) for one in scores]
        if shape[-1] != WINDOW or (1, CLASSES) not in outputs:
            raise EvaluationError(
                f"'{path}' takes {shape} and gives {outputs}, YAMNet takes {WINDOW} samples and gives {CLASSES} "
                "scores; give YAMNet's .tflite file"
            )
        self._input, self._shape = sound['index'], shape
        self._output = scores[outputs.index((1, CLASSES))]['index']
        self.path = path
        self.names = class_names(path)

    def scores(self, samples: Samples, chunks: range, title: str = '') -> np.ndarray:
        """Return the scores at the end of each of `chunks`: float32 [len(chunks), 521] in 0 … 1.

        `samples`: float32 [n] at 16 kHz. Each row is of the 0.975 s that end with the chunk, as a listener hears them
        that decides when ours does; what lies before the start is silence.
        """
        padded = np.pad(samples.astype(np.float32, copy=False), (WINDOW, 0))
        rows = np.zeros((len(chunks), CLASSES), np.float32)
        for row, chunk in enumerate(tqdm(chunks, desc=title, unit='chunk', disable=not title)):
            end = min((chunk + 1) * CHUNK_SAMPLES, len(samples))
            self._interpreter.set_tensor(self._input, padded[end : end + WINDOW].reshape(self._shape))
            self._interpreter.invoke()
            rows[row] = self._interpreter.get_tensor(self._output)[0]
        return rows


def class_names(path: Path) -> list[str]:
    """Return the names of the classes of a .tflite file, in lower case.

    They are in the list of labels that is packed into the file (as a zip archive at its end), or else in
    yamnet_class_map.csv beside it. Raises EvaluationError where neither has 521 names.
    """
    names: list[str] = []
    beside = path.with_name(_NAMES)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                labels = [name for name in packed.namelist() if name.endswith('.txt')]
                names = packed.read(labels[0]).decode().splitlines() if labels else []
        elif beside.is_file():
            rows = csv.DictReader(io.StringIO(beside.read_text(encoding='utf-8')))
            names = [row['display_name'] for row in rows]
    except (OSError, ValueError, KeyError, csv.Error, zipfile.BadZipFile) as error:
        raise EvaluationError(f"the class names of '{path}' cannot be read ({error}); restore '{beside}'") from error
    if len(names) != CLASSES:
        raise EvaluationError(
            f"'{path}' has {len(names)} class names of {CLASSES}; put the {_NAMES} of YAMNet's publisher beside it"
        )
    return [name.strip().lower() for name in names]
