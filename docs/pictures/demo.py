"""`demo.svg`: what the shipped checkpoint and the alarm signatures make of the demo's scene.

The scene goes through the runtime's own session, one chunk at a time, as on a robot that keeps up, and through the
alarm listener; alerts are raised as `safety_alert` raises them. Only ROS is left out, so that every run is the same.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from audio_interaction_ros.cli.scoring import DemoScene, HazardOutcome, HeardAlert, HeardResponse, Score, score
from audio_interaction_ros.matching import SceneEvent, answer_window
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
_COLOURS = {'answer': canvas.GREEN, 'misnamed': canvas.AMBER, 'repeat': canvas.SOFT, 'false': canvas.RED}


@dataclass(frozen=True)
class Run:
    """What a scene set off; times in seconds of the scene.

    `decisions` have the end of their newest chunk and P(response), `responses` that of the chunk that triggered them.
    `thresholds` have the P(response) that is enough by itself, by the kind of response, or one for all of them.
    `alerts` have every message on ai/safety_alert, `signatures` the moments at which a signature was heard.
    """

    samples: Samples
    thresholds: dict[str, float]
    decisions: tuple[tuple[float, float], ...]
    responses: tuple[tuple[float, Response], ...]
    alerts: tuple[tuple[float, Alert], ...]
    signatures: tuple[float, ...]

    def score(self, scene: DemoScene) -> Score:
        """Return the score that `audio-interaction demo` gives to this run."""
        taxonomy = HazardTaxonomy.load(default_taxonomy_path())
        return score(
            scene,
            0.0,
            [HeardResponse(at_s - CHUNK_S, at_s, response.text) for at_s, response in self.responses],
            [
                HeardAlert(at_s - CHUNK_S, at_s, a.id, a.hazard, a.heard_by, a.message, a.response_id, a.state)
                for at_s, a in self.alerts
            ],
            lambda text: taxonomy.hazard_of(text).name,
            len(self.samples) / SAMPLE_RATE_HZ,
        )


def hear(checkpoint: Path, scene: Path, longest_s: float | None = None) -> Run:
    """Play a scene, or its first `longest_s` seconds, to a checkpoint and to the alarm signatures."""
    samples = read_recording(scene).samples
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
    defaults = decoder.config.streaming
    thresholds: dict[str, float] = {kind: threshold.at_once for kind, threshold in (defaults.thresholds or {}).items()}
    thresholds = thresholds or {'threshold': defaults.response_threshold}
    return Run(samples, thresholds, tuple(decisions), tuple(responses), tuple(alerts), tuple(signatures))


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
                    (now_s, policy.heard(hazard, response.text, response.decision.probability, f'{at_s:.1f}', now_s))
                )
        alerts += [(now_s, alert) for alert in (*policy.clear_quiet(now_s), *policy.escalate(now_s))]
    return alerts, signatures


def draw(path: Path, checkpoint: Path = CHECKPOINT, scene: Path = SCENE, longest_s: float | None = None) -> None:
    """Write the picture of one run."""
    run = hear(checkpoint, scene, longest_s)
    length_s = len(run.samples) / SAMPLE_RATE_HZ
    described = DemoScene.load(scene.with_suffix('.json'))
    sounds = [event for event in described.events if event.onset_s < length_s]
    windows = [answer_window(event) for event in sounds if event.hazard]
    scored = run.score(DemoScene(events=tuple(sounds)))
    kinds = [_kind(at_s, scored) for at_s, _ in run.responses]
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
    _sounds(rows[1], sounds, {outcome.hazard: outcome for outcome in scored.outcomes})
    _probability(rows[2], run, kinds)
    _responses(rows[3], run, kinds)
    _alert_bars(rows[4], run, length_s)
    rows[4].set(xlim=(0.0, length_s), xlabel='seconds of the scene')
    rows[4].spines['bottom'].set_visible(True)
    rows[4].tick_params(bottom=True)
    canvas.write(figure, path)


def _kind(at_s: float, scored: Score) -> str:
    """Return what the score makes of the response that was triggered at this second."""
    for outcome in scored.outcomes:
        if outcome.response is not None and outcome.response.received_s == at_s:
            return 'misnamed' if outcome.misnamed else 'answer'
    return 'false' if any(false.received_s == at_s for false in scored.false_responses) else 'repeat'


def _outcome(outcome: HazardOutcome | None) -> tuple[str, str]:
    """Return the colour and the words for what became of a hazard; None: its window goes on after the end."""
    if outcome is None or not outcome.heard_by:
        return canvas.RED, 'missed'
    if outcome.misnamed and outcome.alert is None:
        return canvas.AMBER, 'heard,\nwrong name'
    by = {'model': 'the model', 'signature': 'its signature'}
    return canvas.GREEN, 'heard by\n' + '\nand '.join(by[path] for path in outcome.heard_by)


def _log_mel(axes: Axes, samples: Samples, length_s: float) -> None:
    mel = CausalLogMel(64)(torch.from_numpy(samples[: len(samples) // CHUNK_SAMPLES * CHUNK_SAMPLES])).numpy()
    # As many columns as the page has pixels: the picture would otherwise be a megabyte.
    columns = mel[:, : mel.shape[1] // 16 * 16].reshape(len(mel), -1, 16).mean(-1)
    axes.imshow(columns, aspect='auto', origin='lower', extent=(0.0, length_s, 0, 1), cmap='magma')
    axes.set_ylim(0, 1)


def _sounds(axes: Axes, sounds: list[SceneEvent], outcomes: dict[SceneEvent, HazardOutcome]) -> None:
    """Draw hazards above with what heard them, ordinary sounds below."""
    for sound in sounds:
        middle = (sound.onset_s + sound.end_s) / 2
        name = textwrap.fill(sound.category, 10)
        if not sound.hazard:
            axes.barh(0.9, sound.end_s - sound.onset_s, 0.5, sound.onset_s, color=canvas.GREY)
            axes.text(middle, 0.55, name, ha='center', va='top', color=canvas.SOFT, fontsize=8.5)
            continue
        colour, outcome = _outcome(outcomes.get(sound))
        axes.barh(2.1, sound.end_s - sound.onset_s, 0.5, sound.onset_s, color=colour)
        axes.text(middle, 2.5, name, ha='center', va='bottom', fontsize=8.5, weight='bold')
        axes.text(middle, 1.75, outcome, ha='center', va='top', color=colour, fontsize=8.5)
    axes.set_ylim(0.0, 3.4)


def _probability(axes: Axes, run: Run, kinds: list[str]) -> None:
    times_s, values = zip(*run.decisions, strict=True)
    axes.plot(times_s, values, color=canvas.BLUE, linewidth=1.1, drawstyle='steps-post')
    for threshold in run.thresholds.values():
        axes.axhline(threshold, color=canvas.INK, linewidth=0.9, linestyle=(0, (5, 4)))
    _, place_s = max((after - before, before) for before, after in itertools.pairwise((0.0, *_peaks(run), times_s[-1])))
    names = ', '.join(f'{name} {threshold:.3f}' for name, threshold in run.thresholds.items())
    axes.text(place_s + 1.5, max(run.thresholds.values()) + 0.03, names, fontsize=8.5, va='bottom')
    for number, (at_s, response) in enumerate(run.responses):
        axes.plot(at_s, response.decision.probability, 'o', color=_COLOURS[kinds[number]], markersize=5)
    axes.set(ylim=(-0.03, 1.12), yticks=(0.0, 1.0))
    axes.tick_params(left=True, labelleft=True)


def _peaks(run: Run) -> list[float]:
    """The moments at which the curve is near a threshold or above: no room for words there."""
    least = 0.8 * min(run.thresholds.values())
    return [at_s for at_s, probability in run.decisions if probability > least]


def _responses(axes: Axes, run: Run, kinds: list[str]) -> None:
    texts = [textwrap.fill(response.text, 16) for _, response in run.responses]
    # A text stands beside its moment: to the right of it, or to the left where the page ends.
    last_s = run.decisions[-1][0]
    spans = []
    for (at_s, _), text in zip(run.responses, texts, strict=True):
        width = 0.62 * max(map(len, text.splitlines())) + 1.2
        spans.append((at_s, at_s + width) if at_s + width < last_s + 1.0 else (at_s - width, at_s))
    chosen = canvas.lanes(spans)
    for number, lane in enumerate(chosen):
        at_s, colour = run.responses[number][0], _COLOURS[kinds[number]]
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
            # Covers the lines of other responses that pass behind it.
            bbox={'facecolor': canvas.GROUND, 'edgecolor': 'none', 'pad': 0.8, 'alpha': 0.92},
            zorder=3,
        )
    labels = {
        'answer': 'names the hazard',
        'misnamed': 'names another',
        'repeat': 'says it again',
        'false': 'has no cause',
    }
    for place, (kind, words) in enumerate(labels.items()):
        axes.text(0.2 + 16.5 * place, 0.85, '● ' + words, color=_COLOURS[kind], fontsize=8.5, va='center')
    axes.set_ylim(-max(chosen, default=0) - 0.9, 1.1)


def open_spans(alerts: Sequence[tuple[float, Alert]], length_s: float) -> list[tuple[float, float, Alert]]:
    """Return (raised or opened again, cleared, newest message) of every time that an alert was open."""
    under_way: dict[str, tuple[float, Alert]] = {}
    spans = []
    for at_s, alert in alerts:
        first_s, _ = under_way.get(alert.id, (at_s, alert))
        under_way[alert.id] = first_s, alert
        if alert.state is AlertState.CLEARED:
            spans.append((first_s, at_s, under_way.pop(alert.id)[1]))
    spans += [(first_s, length_s, alert) for first_s, alert in under_way.values()]
    return sorted(spans, key=lambda span: span[0])


def _alert_bars(axes: Axes, run: Run, length_s: float) -> None:
    """Draw a bar for every time that an alert was open, with what heard it."""
    drawn = open_spans(run.alerts, length_s)
    words = [
        f'{alert.hazard} ({"signature" if HeardBy.SIGNATURE in alert.heard_by else "model"})' for *_, alert in drawn
    ]
    # Words that a bar is too short for stand before it.
    outside = [end_s - start_s <= 0.7 * len(each) for (start_s, end_s, _), each in zip(drawn, words, strict=True)]
    chosen = canvas.lanes(
        [
            (start_s - (0.85 * len(each) if before else 0.0), end_s)
            for (start_s, end_s, _), each, before in zip(drawn, words, outside, strict=True)
        ]
    )
    for (start_s, end_s, alert), each, before, lane in zip(drawn, words, outside, chosen, strict=True):
        colour = canvas.VIOLET if HeardBy.SIGNATURE in alert.heard_by else canvas.BLUE
        axes.barh(-lane, end_s - start_s, 0.82, start_s, color=colour, alpha=0.85)
        if before:
            axes.text(start_s - 0.4, -lane, each, color=colour, ha='right', va='center', fontsize=8.5)
        else:
            axes.text(start_s + 0.4, -lane, each, color='white', va='center', fontsize=8.5)
    heard = len(run.signatures)
    axes.text(0.2, -max(chosen, default=0), f'alarm signatures heard: {heard or "none"}', va='center', fontsize=8.5)
    axes.set_ylim(-max(chosen, default=0) - 0.6, 0.6)
