"""What a robot would have without this package, on the same recordings: silence, YAMNet, and a cascade of parts.

The cascade is the one that a roboticist would build: voice activity (Silero), then Whisper on what was said, then a
text model that answers or stays silent. Each needs parts that are not among the requirements.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.matching import answer_window
from audio_interaction_ros.streaming.fifo import EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, Response
from training.clips.answers import load_answers
from training.evaluate import EvaluationError
from training.evaluate.hearing import Heard
from training.evaluate.yamnet import Yamnet
from training.evaluate.yardstick import hazard_classes
from training.field.hearing import Timed
from training.field.recordings import FieldRecording
from training.metrics import best_threshold
from training.speech.asr import RecogniserError, TransformersWhisper

USUAL_THRESHOLD = 0.3  # of YAMNet's scores, where there are no twins to choose one on
_WINDOW = 512  # samples that Silero takes at once, 32 ms
_SHORTEST_S, _PAUSE_MS = 0.25, 500  # of what is given to the recogniser, and of the pause that ends it
_MOST_TOKENS = 48
SILENT = 'SILENT'
PROMPT = (
    'You are a robot that listens all the time. You are given what somebody near you said. If they ask you something, '
    'need help or warn of a danger, answer in one short sentence. Otherwise answer with the one word SILENT.'
)


def heard_of(samples: Samples, said: Mapping[int, str], probabilities: Sequence[float] | None = None) -> Heard:
    """Return what a listener that is no checkpoint heard: what it said after which chunk of samples, [chunks × 6400].

    `probabilities` are those of an answer after each chunk; without them 1 where something is said, else 0.
    """
    decisions: list[Decision] = []
    responses: list[Response] = []
    for index in range(len(samples) // CHUNK_SAMPLES):
        chunk = samples[index * CHUNK_SAMPLES : (index + 1) * CHUNK_SAMPLES]
        encoded = EncodedChunk.unbroken(index, torch.empty(0), level_dbfs(chunk))
        probability = float(index in said) if probabilities is None else float(probabilities[index])
        decisions.append(Decision(encoded, 1, index in said, probability, 0.0))
        if index in said:
            responses.append(Response(decisions[-1], said[index], 'normal', True))
    return Heard(tuple(decisions), tuple(responses))


class AlwaysSilent:
    """`AlwaysSilent` says nothing: what recall and false responses are worth less than."""

    name = 'always silent'

    def hear(self, samples: Samples) -> Timed:
        """Hear a waveform, float32 [chunks × 6400]."""
        return Timed(heard_of(samples, {}), (), 0.0)

    def write(self, samples: Samples) -> str:
        """Return what is written down: nothing."""
        return ''


class YamnetOverThreshold:
    """`YamnetOverThreshold` names a hazard when the score of one of its classes rises above a threshold."""

    name = 'YAMNet over a threshold'

    def __init__(self, yamnet: Yamnet, threshold: float) -> None:
        self._yamnet, self.threshold = yamnet, threshold
        self._hazards = hazard_classes(yamnet.names)
        self._numbers = np.array(list(self._hazards))

    def scores(self, samples: Samples) -> np.ndarray:
        """Return the scores of its hazard classes after each chunk, float32 [chunks, classes]."""
        return self._yamnet.scores(samples, range(len(samples) // CHUNK_SAMPLES))[:, self._numbers]

    def hear(self, samples: Samples) -> Timed:
        """Hear a waveform, float32 [chunks × 6400]; a run of moments above the threshold is one response."""
        before_s, begun_s = time.process_time(), time.perf_counter()
        scores = self.scores(samples)
        each_s = (time.perf_counter() - begun_s) / max(1, len(scores))
        said: dict[int, str] = {}
        for index in above(scores.max(axis=1), self.threshold):
            category = self._hazards[int(self._numbers[int(scores[index].argmax())])]
            answer = load_answers().get(category)
            said[index] = answer.sentences[0] if answer else f'I hear {category}.'
        heard = heard_of(samples, said, scores.max(axis=1).tolist())
        return Timed(heard, (each_s,) * len(said), time.process_time() - before_s)

    def write(self, samples: Samples) -> str:
        """Return what is written down: nothing."""
        return ''


def chosen_threshold(yamnet: Yamnet, recordings: Sequence[FieldRecording]) -> float:
    """Return the threshold that tells best which labelled events of some recordings deserve an answer.

    It is USUAL_THRESHOLD where they have not both kinds. None of them should be one that is scored: twins are not.
    """
    ears = YamnetOverThreshold(yamnet, USUAL_THRESHOLD)
    labels: list[bool] = []
    scores: list[float] = []
    for recording in recordings:
        heard = ears.hear(recording.samples).heard
        labels += [event.hazard for event in recording.events]
        scores += [heard.highest_between(*answer_window(event)) for event in recording.events]
    return best_threshold(labels, scores) if set(labels) == {True, False} else USUAL_THRESHOLD


def above(scores: np.ndarray, threshold: float) -> list[int]:
    """Return where each run of scores, float [n], at or above a threshold begins."""
    over = np.r_[False, scores >= threshold]
    return np.flatnonzero(over[1:] & ~over[:-1]).tolist()


class Cascade:
    """A `Cascade` finds speech (Silero), writes it down (Whisper) and has a text model answer, or stay silent.

    Raises EvaluationError, in one sentence, where a part is missing.
    """

    name = 'voice activity, Whisper, text model'

    def __init__(self, whisper: Path, text_model: Path, device: str) -> None:
        """Load Whisper and a text model with a chat template, each a folder as `python -m training parts` makes it."""
        try:
            silero: Any = importlib.import_module('silero_vad')
        except ImportError as error:
            raise EvaluationError(
                f"the cascade needs the package silero-vad ({error}); run '.venv/bin/python -m pip install "
                "silero-vad', or leave out --whisper and --text-model"
            ) from error
        threads = torch.get_num_threads()
        self._activity: Any = silero.VADIterator(silero.load_silero_vad(), min_silence_duration_ms=_PAUSE_MS)
        torch.set_num_threads(threads)  # silero-vad sets it to one
        import transformers  # seconds to import

        try:
            self._whisper = TransformersWhisper(str(whisper), device)
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(text_model)
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(text_model, dtype=torch.float32)
            self._text: Any = loaded.to(device).eval()
        except (OSError, ValueError, RecogniserError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise EvaluationError(
                f'the cascade cannot be loaded ({reason}); make its parts with '
                '`python -m training parts whisper-base smollm2-135m --out parts`'
            ) from error
        if not getattr(self._tokenizer, 'chat_template', None):
            raise EvaluationError(f"'{text_model}' has no chat template; give a text model that was trained to answer")

    def hear(self, samples: Samples) -> Timed:
        """Hear a waveform, float32 [chunks × 6400]; each stretch of speech is answered when a pause has ended it."""
        before_s = time.process_time()
        said: dict[int, str] = {}
        computing_s: list[float] = []
        for first, last, known in self.speech(samples):
            begun_s = time.perf_counter()
            answer = self.answer(self.write(samples[first:last]))
            index = min(known // CHUNK_SAMPLES, len(samples) // CHUNK_SAMPLES - 1)
            if answer and index not in said:
                said[index] = answer
                computing_s.append(time.perf_counter() - begun_s)
        return Timed(heard_of(samples, said), tuple(computing_s), time.process_time() - before_s)

    def speech(self, samples: Samples) -> list[tuple[int, int, int]]:
        """Return stretches of speech as (first sample, last, by when it is known that it is over)."""
        self._activity.reset_states()
        found: list[tuple[int, int, int]] = []
        first: int | None = None
        for at in range(0, len(samples) - _WINDOW + 1, _WINDOW):
            event = self._activity(torch.from_numpy(samples[at : at + _WINDOW])) or {}
            first = event.get('start', first)
            if 'end' in event and first is not None:
                found.append((first, event['end'], at + _WINDOW - 1))
                first = None
        if first is not None:
            found.append((first, len(samples), len(samples) - 1))
        return [one for one in found if one[1] - one[0] >= _SHORTEST_S * SAMPLE_RATE_HZ]

    def write(self, samples: Samples) -> str:
        """Return what Whisper writes down of speech, float32 [n] at 16 kHz."""
        return self._whisper.transcribe(samples, 'en').text

    @torch.inference_mode()
    def answer(self, said: str) -> str:
        """Return what the text model answers to what was said, '' where it stays silent."""
        if not said.strip():
            return ''
        chat = [{'role': 'system', 'content': PROMPT}, {'role': 'user', 'content': said}]
        asked = self._tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors='pt', return_dict=True
        ).to(self._text.device)
        written = self._text.generate(
            **asked, max_new_tokens=_MOST_TOKENS, do_sample=False, pad_token_id=self._tokenizer.eos_token_id
        )
        tokens = written[0, asked['input_ids'].shape[1] :]
        text = ' '.join(self._tokenizer.decode(tokens, skip_special_tokens=True).split())
        return '' if text.upper().startswith(SILENT) else text
