"""`demo.svg`: what the shipped checkpoint and the alarm signatures make of the demo's scene.

The scene goes through the runtime's own session, one chunk at a time, as on a robot that keeps up, and through the
alarm listener; alerts are raised as `safety_alert` raises them. Only ROS is left out, so that every run is the same.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import PcmFormat, Samples, read_audio_file
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.audio.resample import to_mono_16k
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from audio_interaction_ros.cli.scoring import DemoScene
from audio_interaction_ros.matching import Matches, SceneEvent, answer_window, match
from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.nodes.parameters import SafetyAlertParameters
from audio_interaction_ros.safety.alarm_listener import AlarmListener
from audio_interaction_ros.safety.hazards import HazardTaxonomy, default_taxonomy_path
from audio_interaction_ros.safety.policy import Alert, AlertPolicy, AlertState, HeardBy
from audio_interaction_ros.streaming.loop import Decision, Response, listen
from docs.pictures import canvas

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / 'checkpoints' / 'embedded'
SCENE = ROOT / 'demo' / 'scene.flac'
_CAPTURED_NS = 1_000_000_000  # when the scene begins; zero would be no stamp
_COLOURS = {'answer': canvas.GREEN, 'repeat': canvas.SOFT, 'false': canvas.RED}


@dataclass(frozen=True)
class Run:
    """What a scene set off; times in seconds of the scene.

    `decisions` have the end of their newest chunk and P(response), `responses` that of the chunk that triggered them.
    `alerts` have every message on ai/safety_alert, `signatures` the moments at which a signature was heard.
    """

    samples: Samples
    threshold: float
    decisions: tuple[tuple[float, float], ...]
    responses: tuple[tuple[float, Response], ...]
    alerts: tuple[tuple[float, Alert], ...]
    signatures: tuple[float, ...]


def hear(checkpoint: Path, scene: Path, longest_s: float | None = None) -> Run:
    """Play a scene, or its first `longest_s` seconds, to a checkpoint and to the alarm signatures."""
    samples = to_mono_16k(*read_audio_file(str(scene)))
    if longest_s is not None:
        samples = samples[: int(longest_s * SAMPLE_RATE_HZ)]
    encoder, decoder = load_encoder(checkpoint), load_decoder(checkpoint)
    decisions: list[tuple[float, float]] = []
    responses: list[tuple[float, Response]] = []
    for event in listen(encoder, decoder, samples):
        if isinstance(event, Decision):
            decisions.append(((event.chunk.index + 1) * CHUNK_S, event.probability))
        elif event.final:
            responses.append(((event.decision.chunk.index + 1) * CHUNK_S, event))
    alerts, signatures = _alerts(samples, responses)
    threshold = decoder.config.streaming.response_threshold
    return Run(samples, threshold, tuple(decisions), tuple(responses), tuple(alerts), tuple(signatures))


def _alerts(samples: Samples, responses: list[tuple[float, Response]]) -> tuple[list[tuple[float, Alert]], list[float]]:
    """Both ways into the policy in the order of time, chunk by chunk, with the node's default parameters."""
    given, taxonomy = SafetyAlertParameters(), HazardTaxonomy.load(default_taxonomy_path())
    policy, alarms = AlertPolicy(given.cooldown_s, given.clear_after_s), AlarmListener()
    alerts: list[tuple[float, Alert]] = []
    signatures: list[float] = []
    pcm = PcmFormat(SAMPLE_RATE_HZ, 1, 'F32LE')
    for first in range(0, len(samples), CHUNK_SAMPLES):
        piece = samples[first : first + CHUNK_SAMPLES, None]
        now_s = (first + CHUNK_SAMPLES) / SAMPLE_RATE_HZ
        for evidence, _ in alarms.push(piece, pcm, _CAPTURED_NS + first * NS_PER_SAMPLE):
            hazard = taxonomy.hazard_of_signature(evidence.signature)
            alerts.append(
                (now_s, policy.heard(hazard, evidence.sentence, evidence.confidence, '', now_s, HeardBy.SIGNATURE))
            )
            signatures.append(now_s)
        for at_s, response in responses:
            if abs(at_s - now_s) < CHUNK_S / 2 and response.emotion == 'urgent':
                hazard = taxonomy.hazard_of(response.text)
                alerts.append(
                    (now_s, policy.heard(hazard, response.text, response.decision.probability, 'demo', now_s))
                )
        alerts += [(now_s, alert) for alert in (*policy.clear_quiet(now_s), *policy.escalate(now_s))]
    return alerts, signatures


def draw(path: Path, checkpoint: Path = CHECKPOINT, scene: Path = SCENE, longest_s: float | None = None) -> None:
    """Write the picture of one run."""
    run = hear(checkpoint, scene, longest_s)
    length_s = len(run.samples) / SAMPLE_RATE_HZ
    sounds = [event for event in DemoScene.load(scene.with_suffix('.json')).events if event.onset_s < length_s]
    hazards = [event for event in sounds if event.hazard]
    windows = [answer_window(hazard) for hazard in hazards]
    answers = match(windows, [at_s for at_s, _ in run.responses])
    figure = canvas.page(7.6)
    rows = figure.subplots(5, 1, sharex=True, gridspec_kw={'height_ratios': (1.0, 1.5, 1.1, 2.0, 1.1), 'hspace': 0.12})
    figure.subplots_adjust(left=0.122, right=0.985, top=0.985, bottom=0.055)
    for row, name in zip(rows, ('log-mel', 'sounds', 'P(response)', 'responses', 'alerts'), strict=True):
        row.set_ylabel(name, rotation=0, ha='right', va='center', color=canvas.INK)
        row.spines['left'].set_visible(False)
        row.tick_params(left=False, labelleft=False, bottom=False)
        for start_s, end_s in windows:
            row.axvspan(start_s, end_s, color=canvas.AMBER, alpha=0.09, linewidth=0)
    _log_mel(rows[0], run.samples, length_s)
    _sounds(rows[1], sounds, [_heard_by(number, answers, windows, run) for number in range(len(hazards))])
    _probability(rows[2], run, answers)
    _responses(rows[3], run, answers)
    _alert_bars(rows[4], run, length_s)
    rows[4].set(xlim=(0.0, length_s), xlabel='seconds of the scene')
    rows[4].spines['bottom'].set_visible(True)
    rows[4].tick_params(bottom=True)
    canvas.write(figure, path)


def _heard_by(number: int, answers: Matches, windows: list[tuple[float, float]], run: Run) -> list[str]:
    start_s, end_s = windows[number]
    by_model = ['the model'] if number in answers.answers else []
    return by_model + (['its signature'] if any(start_s < at_s <= end_s for at_s in run.signatures) else [])


def _kind(number: int, answers: Matches) -> str:
    if number in answers.answers.values():
        return 'answer'
    return 'repeat' if number in answers.repeats else 'false'


def _log_mel(axes: Axes, samples: Samples, length_s: float) -> None:
    mel = CausalLogMel(64)(torch.from_numpy(samples[: len(samples) // CHUNK_SAMPLES * CHUNK_SAMPLES])).numpy()
    # As many columns as the page has pixels: the picture would otherwise be a megabyte.
    columns = mel[:, : mel.shape[1] // 16 * 16].reshape(len(mel), -1, 16).mean(-1)
    axes.imshow(columns, aspect='auto', origin='lower', extent=(0.0, length_s, 0, 1), cmap='magma')
    axes.set_ylim(0, 1)


def _sounds(axes: Axes, sounds: list[SceneEvent], heard: list[list[str]]) -> None:
    """Draw hazards above with what heard them, ordinary sounds below."""
    outcomes = iter(heard)
    for sound in sounds:
        middle = (sound.onset_s + sound.end_s) / 2
        name = textwrap.fill(sound.category, 10)
        if not sound.hazard:
            axes.barh(0.9, sound.end_s - sound.onset_s, 0.5, sound.onset_s, color=canvas.GREY)
            axes.text(middle, 0.55, name, ha='center', va='top', color=canvas.SOFT, fontsize=8.5)
            continue
        by = next(outcomes)
        colour, outcome = (canvas.GREEN, 'heard by\n' + '\nand '.join(by)) if by else (canvas.RED, 'missed')
        axes.barh(2.1, sound.end_s - sound.onset_s, 0.5, sound.onset_s, color=colour)
        axes.text(middle, 2.5, name, ha='center', va='bottom', fontsize=8.5, weight='bold')
        axes.text(middle, 1.75, outcome, ha='center', va='top', color=colour, fontsize=8.5)
    axes.set_ylim(0.0, 3.4)


def _probability(axes: Axes, run: Run, answers: Matches) -> None:
    times_s, values = zip(*run.decisions, strict=True)
    axes.plot(times_s, values, color=canvas.BLUE, linewidth=1.1, drawstyle='steps-post')
    axes.axhline(run.threshold, color=canvas.INK, linewidth=0.9, linestyle=(0, (5, 4)))
    axes.text(0.2, run.threshold + 0.03, f'threshold {run.threshold:.3f}', fontsize=8.5, va='bottom')
    for number, (at_s, response) in enumerate(run.responses):
        axes.plot(at_s, response.decision.probability, 'o', color=_COLOURS[_kind(number, answers)], markersize=5)
    axes.set(ylim=(-0.03, 1.12), yticks=(0.0, 0.5, 1.0))
    axes.tick_params(left=True, labelleft=True)


def _responses(axes: Axes, run: Run, answers: Matches) -> None:
    texts = [textwrap.fill(response.text, 16) for _, response in run.responses]
    # A text stands beside its moment: to the right of it, or to the left where the page ends.
    last_s = run.decisions[-1][0]
    spans = []
    for (at_s, _), text in zip(run.responses, texts, strict=True):
        width = 0.62 * max(map(len, text.splitlines())) + 1.2
        spans.append((at_s, at_s + width) if at_s + width < last_s + 1.0 else (at_s - width, at_s))
    chosen = canvas.lanes(spans)
    for number, lane in enumerate(chosen):
        at_s, colour = run.responses[number][0], _COLOURS[_kind(number, answers)]
        to_the_right = spans[number][0] == at_s
        axes.plot((at_s, at_s), (0.35, -lane - 0.7), color=colour, linewidth=1.0, alpha=0.8)
        axes.text(
            at_s + (0.35 if to_the_right else -0.35),
            -lane,
            texts[number],
            ha='left' if to_the_right else 'right',
            va='top',
            color=colour,
            fontsize=8.5,
            linespacing=1.1,
        )
    labels = {'answer': 'comes with a hazard', 'repeat': 'and again', 'false': 'no hazard calls for it'}
    for place, (kind, words) in enumerate(labels.items()):
        axes.text(0.2 + 18.5 * place, 0.85, '● ' + words, color=_COLOURS[kind], fontsize=8.5, va='center')
    axes.set_ylim(-max(chosen, default=0) - 0.9, 1.1)


def _alert_bars(axes: Axes, run: Run, length_s: float) -> None:
    """Draw a bar from an alert's first message until it is cleared, with what heard it."""
    spans: dict[str, list[tuple[float, Alert]]] = {}
    for at_s, alert in run.alerts:
        spans.setdefault(alert.id, []).append((at_s, alert))
    drawn = []
    for messages in spans.values():
        first_s, last_s = messages[0][0], messages[-1][0]
        drawn.append((first_s, last_s if messages[-1][1].state is AlertState.CLEARED else length_s, messages[-1][1]))
    chosen = canvas.lanes([each[:2] for each in drawn])
    for (start_s, end_s, alert), lane in zip(drawn, chosen, strict=True):
        colour = canvas.VIOLET if HeardBy.SIGNATURE in alert.heard_by else canvas.BLUE
        axes.barh(-lane, end_s - start_s, 0.82, start_s, color=colour, alpha=0.85)
        words = f'{alert.hazard} ({"signature" if HeardBy.SIGNATURE in alert.heard_by else "model"})'
        if end_s - start_s > 0.7 * len(words):
            axes.text(start_s + 0.4, -lane, words, color='white', va='center', fontsize=8.5)
        else:
            axes.text(start_s - 0.4, -lane, words, color=colour, ha='right', va='center', fontsize=8.5)
    heard = len(run.signatures)
    axes.text(0.2, -max(chosen, default=0), f'alarm signatures heard: {heard or "none"}', va='center', fontsize=8.5)
    axes.set_ylim(-max(chosen, default=0) - 0.6, 0.6)
