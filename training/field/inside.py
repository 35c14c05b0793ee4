"""Continuity across chunks, and which heads decide, on windows of field recordings and on their twins' (A.1, §5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training import labels
from training.clips.answers import load_answers
from training.clips.categories import canonical
from training.dsp.activity import EVIDENCE_S
from training.evaluate.hearing import Listener
from training.field.recordings import FieldRecording
from training.inspect import continuity, heads
from training.inspect.continuity import Cosines
from training.inspect.heads import LOG_PROBABILITY, TOKEN_MATCH, HeadScores
from training.inspect.inspection import stream_model
from training.metrics import rounded
from training.stages.collator import Batch, pad
from training.stages.model import heard_chunks
from training.streams import Reply, schedule

WINDOW_CHUNKS = 50  # 20 s
_BATCH = 8
_LARGEST_SHARE = 0.8  # of the model's positions, so that replies fit as well


@dataclass(frozen=True)
class Inside:
    """An `Inside` is what was measured of some windows, by window, each of one scene."""

    places: list[str]
    scene_of: np.ndarray
    cosines: Cosines
    heads: HeadScores


def chosen_windows(recordings: Sequence[FieldRecording], most: int, length: int) -> list[tuple[int, int]]:
    """Return (number of the recording, first chunk) of at most `most` windows of `length` chunks in each scene.

    Those in which something begins that deserves an answer come first; of more of them, evenly spread ones are taken.
    """
    chosen: list[tuple[int, int]] = []
    for scene in dict.fromkeys(recording.scene for recording in recordings):
        called: list[tuple[int, int]] = []
        others: list[tuple[int, int]] = []
        for number, recording in enumerate(recordings):
            if recording.scene != scene:
                continue
            onsets = [int(e.onset_s * SAMPLE_RATE_HZ) // CHUNK_SAMPLES for e in recording.events if e.hazard]
            for first in range(0, max(1, recording.chunks - length + 1), length):
                holds = any(first <= onset < first + length for onset in onsets)
                (called if holds else others).append((number, first))
        kept = _spread(called, most)
        chosen += sorted(kept + _spread(others, most - len(kept)))
    return chosen


def _spread(items: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    return [items[place] for place in np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)]


def true_replies(recording: FieldRecording, first: int, chunks: int) -> list[Reply]:
    """Return what would be right to say in a window of a recording, from its chunk `first` on.

    One reply to each event that deserves an answer and begins there, due when 0.8 s of it have been heard.
    """
    answers = load_answers()
    replies = []
    for event in recording.events:
        onset = round(event.onset_s * SAMPLE_RATE_HZ) - first * CHUNK_SAMPLES
        if not event.hazard or not 0 <= onset < chunks * CHUNK_SAMPLES:
            continue
        heard_s = min(EVIDENCE_S, event.end_s - event.onset_s)
        answer = answers.get(canonical(event.category))
        text, emotion = (answer.sentences[0], answer.emotion) if answer else (f'I hear {event.category}.', 'normal')
        due = onset + max(1, round(heard_s * SAMPLE_RATE_HZ))
        replies.append(Reply(onset=onset, due=due, text=text, emotion=emotion))
    return replies


def look_inside(
    listener: Listener, recordings: Sequence[FieldRecording], windows: Sequence[tuple[int, int]], length: int
) -> Inside:
    """Measure windows of `length` chunks of recordings, heard with the replies that would be right."""
    model = stream_model(listener)
    device = listener.decoder.language_model.device
    settings, protocol = model.language_model.config, listener.decoder.protocol
    cosines: list[Cosines] = []
    scores: list[HeadScores] = []
    parts = [windows[at : at + _BATCH] for at in range(0, len(windows), _BATCH)]
    passes = 1 + settings.num_hidden_layers * settings.num_attention_heads
    with tqdm(total=len(parts) * passes, desc=f'inside, {len(windows)} windows', unit='pass') as bar:
        for part in parts:
            batch = _batch(listener, recordings, part, length).to(torch.device(device))
            with torch.inference_mode():
                mel = heard_chunks(listener.encoder.encoder.logmel(batch.waveforms), batch, augment=False)
            cosines.append(continuity.measure(model, mel, batch))
            bar.update()
            scores.append(heads.measure(model, mel, batch, protocol.response, bar.update))
    scene_of = np.array([recordings[number].scene for number, _ in windows])
    return Inside(continuity.places(model), scene_of, Cosines.join(cosines), HeadScores.join(scores))


def window_length(listener: Listener) -> int:
    """Return how many chunks a window has: 20 s, or less for a language model with fewer positions."""
    protocol, config = listener.decoder.protocol, listener.decoder.language_model.config
    # A chunk takes its vectors, two tokens around them, and a control token.
    positions = labels.tokenise(schedule([], 1, aloud=False), [], [], listener.decoder.tokenizer, protocol).ids
    return max(1, min(WINDOW_CHUNKS, int(_LARGEST_SHARE * config.max_position_embeddings) // len(positions)))


def _batch(
    listener: Listener, recordings: Sequence[FieldRecording], windows: Sequence[tuple[int, int]], length: int
) -> Batch:
    decoder = listener.decoder
    prefix = decoder.instruction_prefix(decoder.config.streaming.instruction)
    tokens, samples, events = [], [], []
    for number, first in windows:
        recording = recordings[number]
        heard = recording.samples[first * CHUNK_SAMPLES : (first + length) * CHUNK_SAMPLES]
        chunks = len(heard) // CHUNK_SAMPLES
        replies = true_replies(recording, first, chunks)
        drains = schedule(replies, chunks, aloud=False)
        undecided = labels.early(drains, replies, range(len(replies)))
        tokens.append(labels.tokenise(drains, replies, prefix, decoder.tokenizer, decoder.protocol, undecided))
        samples.append(heard)
        events.append(np.ones((chunks, 1), np.float32))
    return pad(tokens, samples, events, decoder.protocol, [first for _, first in windows])


def inside_figures(real: Inside, synthetic: Inside | None, seed: int) -> dict[str, Any]:
    """Return the continuity ratio at the first layer of the language model, and how much the strongest head counts.

    Each for the real recordings and for their twins, None without twins. The head is the strongest on the twins, by the
    control tokens that are lost without it, and where that is none, by their log-probability.
    """
    chosen = synthetic or real
    place = real.places.index('layer 0')
    layer, head = strongest_head(chosen.heads)
    both = {'real': real, 'synthetic': synthetic}
    figures: dict[str, Any] = {
        'windows': len(real.scene_of),
        'continuity_ratio': {'place': 'layer 0'},
        'head_importance': {'head': f'L{layer}H{head}'},
    }
    for name, one in both.items():
        ratio = None if one is None else _ratio(one.cosines, place, seed)
        figures['continuity_ratio'][name] = ratio
        figures['head_importance'][name] = None if one is None else _drops(one.heads, layer, head, seed)
    if synthetic is not None:
        alike = [_drop(one.heads, LOG_PROBABILITY).ravel() for one in (real, synthetic)]
        figures['head_importance']['correlation_of_heads'] = correlation(*alike)
    return figures


def strongest_head(scores: HeadScores) -> tuple[int, int]:
    """Return (layer, head) of the head without which most control tokens are lost, else most log-probability."""
    match, probable = _drop(scores, TOKEN_MATCH), _drop(scores, LOG_PROBABILITY)
    place = np.lexsort((probable.ravel(), match.ravel()))[-1]
    layer, head = np.unravel_index(place, match.shape)
    return int(layer), int(head)


def correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return Pearson's correlation of two float [n], rounded; None where either never changes."""
    if len(one) < 2 or not np.ptp(one) or not np.ptp(other):
        return None
    return round(float(np.corrcoef(one, other)[0, 1]), 4)


def _ratio(cosines: Cosines, place: int, seed: int) -> dict[str, Any]:
    interval = cosines.interval(place, seed)
    return {
        'ratio': round(float(cosines.ratio()[place]), 4),
        'confidence_95': rounded(interval),
    }


def _drops(scores: HeadScores, layer: int, head: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, figure in (('token_match', TOKEN_MATCH), ('log_probability', LOG_PROBABILITY)):
        intact, interval = scores.mean(figure), scores.interval(layer, head, figure, seed)
        found[name] = None if intact is None else round(intact, 4)
        found[f'{name}_drop'] = round(float(_drop(scores, figure)[layer, head]), 4)
        found[f'{name}_drop_confidence_95'] = rounded(interval)
    return found


def _drop(scores: HeadScores, figure: int) -> np.ndarray:
    drop = scores.drop(figure)
    assert drop is not None  # every window has drains
    return drop
