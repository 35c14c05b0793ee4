"""The demo scene, end to end, with the checkpoint that ships: the loop keeps up and hears what it is known to hear.

In three parts at a time, each with nodes and a domain of its own, because the scene is played as long as it lasts.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ

pytestmark = [pytest.mark.system, pytest.mark.slow]
DEMO = Path(__file__).resolve().parents[2] / 'demo'
CUTS = (0, 72, 144, 193)  # chunks: after a fire, and after somebody spoke, nothing sounds
HAZARDS = (3, 3, 2)
# What the shipped checkpoint must not fall below; the model card says how well it does. An answer that names another
# hazard than the one that sounds counts as false: five in the run that the README shows, some more on a busy machine.
MIN_HEARD, MAX_FALSE_RESPONSES = 5, 8


def cut(folder: Path, first: int, last: int) -> Path:
    """The chunks `first` up to `last` of the scene, with their description."""
    sound, _ = soundfile.read(DEMO / 'scene.flac', dtype='int16')
    path = folder / f'scene-{first}.flac'
    soundfile.write(path, sound[first * CHUNK_SAMPLES : last * CHUNK_SAMPLES], SAMPLE_RATE_HZ)
    begin_s, end_s = (number * CHUNK_SAMPLES / SAMPLE_RATE_HZ for number in (first, last))
    events = [
        event | {'onset_s': event['onset_s'] - begin_s, 'end_s': event['end_s'] - begin_s}
        for event in json.loads((DEMO / 'scene.json').read_text())['events']
        if begin_s <= event['onset_s'] < end_s
    ]
    path.with_suffix('.json').write_text(json.dumps({'events': events}))
    return path


def how_busy(until) -> float:
    """How many times longer than on a free core a little work takes, looked at every second."""
    wall_s = cpu_s = 0.0
    while not until():
        began_s, used_s = time.perf_counter(), time.process_time()
        while time.process_time() - used_s < 0.01:
            pass
        wall_s += time.perf_counter() - began_s
        cpu_s += time.process_time() - used_s
        time.sleep(1.0)
    return wall_s / cpu_s


def test_the_scene_is_heard_whole_and_its_hazards_answered(tmp_path):
    # The demo takes a domain of its own where none is set.
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_DOMAIN_ID'}
    demos = [
        subprocess.Popen(
            [sys.executable, '-m', 'audio_interaction_ros.cli', 'demo', '--scene', str(cut(tmp_path, *part))],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for part in itertools.pairwise(CUTS)
    ]  # fmt: skip
    busy = how_busy(lambda: all(demo.poll() is not None for demo in demos))
    reports = []
    for demo, hazards in zip(demos, HAZARDS, strict=True):
        out, err = demo.communicate()
        assert demo.returncode == 0, err
        report = json.loads(out.splitlines()[-1])
        assert report['chunks_lost'] == 0
        assert report['hazards'] == report['heard'] + len(report['missed']) == hazards
        assert f'{report["heard"]} of {hazards} hazards heard' in out.splitlines()[-2]
        assert report['decision_latency_ms']['p50'] <= 200.0 * busy, report
        reports.append(report)
    assert sum(report['chunks'] for report in reports) == CUTS[-1]
    assert sum(report['heard'] for report in reports) >= MIN_HEARD, reports
    assert sum(report['false_responses'] for report in reports) <= MAX_FALSE_RESPONSES, reports
