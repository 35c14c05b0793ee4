"""A loudspeaker and a microphone in one room, through PulseAudio: `python -m tests.system.own_voice`.

What the speaker plays into one null sink comes out of another, the microphone, with the response of a room and 10 dB of
echo return loss, and others talk there too. Ends with one JSON line: the echo's level with and without the canceller,
answers to itself, and how soon it is silent when somebody talks over it and when it is cancelled. Run by hand.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import scipy.signal

from audio_interaction_ros.audio.formats import Samples, encode_s16le
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.cli.scoring import spread
from audio_interaction_ros.msg import Decision, Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import nanoseconds_of
from audio_interaction_ros.nodes.sound import SoundMessage
from audio_interaction_ros.srv import CancelSpeech, Say
from tests.audio.loopback import RESPONSES, Room, at_level, speech
from tests.system import pulse
from tests.system.ros import Process, Ros, Starvation

MICROPHONE = 'mic'
STORY = 'Once upon a time there was a robot who told very long stories to everybody who came along. ' * 3
_AVAILABLE, _LATEST, _WAITING = 1 << 20, 800, 4_096  # bytes, samples, bytes
_LOUD = 100  # of 32 768


class LiveRoom:
    """Plays what it hears of the loudspeaker, and who talks in it, to the microphone; keeps levels and times."""

    def __init__(self, environment: dict[str, str], room: Room) -> None:
        self._room = room
        self._rings = np.zeros(len(room.response) - 1)  # of what was played
        self._others: list[Samples] = []
        self._talks_since_s = 0.0
        self.blocks: list[tuple[float, bool, float]] = []  # when, is the loudspeaker loud, dBFS at the microphone
        given = {**os.environ, **environment}
        raw = ['--rate=16000', '--channels=1', '--format=s16le', '--latency-msec=10']
        self._recorder = subprocess.Popen(
            ['parec', '-d', f'{pulse.SINK}.monitor', *raw], env=given, stdout=subprocess.PIPE
        )
        self._player = subprocess.Popen(['pacat', '-d', MICROPHONE, *raw], env=given, stdin=subprocess.PIPE)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def talk(self, samples: Samples) -> float:
        """Let somebody talk, float32 [n] at 16 kHz; return when that begins to sound."""
        self._talks_since_s = 0.0
        self._others.append(samples)
        while not self._talks_since_s:
            time.sleep(0.001)
        return self._talks_since_s

    def loud_since(self, then_s: float) -> list[float]:
        """When the loudspeaker was to be heard."""
        return [now_s for now_s, loud, _ in self.blocks if loud and now_s >= then_s]

    def leave(self) -> None:
        for process in (self._recorder, self._player):
            process.kill()
            process.wait()
        self._thread.join()

    def _run(self) -> None:
        assert self._recorder.stdout is not None and self._player.stdin is not None
        talked = np.empty(0, np.float32)
        source, sink = self._recorder.stdout.fileno(), self._player.stdin.fileno()
        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, _WAITING)
        os.set_blocking(sink, False)
        while data := os.read(source, _AVAILABLE):
            now_s = time.monotonic()
            # Where this process stood still the microphone has heard silence meanwhile: what came is not played later,
            # or the echo would come ever later.
            played = np.frombuffer(data[: len(data) & ~1], '<i2')[-_LATEST:]
            if self._others:
                talked, self._talks_since_s = self._others.pop(0), now_s
            others, talked = talked[: len(played)], talked[len(played) :]
            rung = scipy.signal.fftconvolve(played / 32_768, self._room.response)
            rung[: len(self._rings)] += self._rings
            echo, self._rings = rung[: len(played)], rung[len(played) :]
            heard = echo + self._room.noise(len(played))
            heard[: len(others)] += others
            self.blocks.append((now_s, bool(np.abs(played.astype(int)).max() > _LOUD), level_dbfs(heard)))
            try:
                os.write(sink, encode_s16le(heard))
            except BlockingIOError:
                pass  # as above: it is not played later
            except OSError:
                return  # the room is left


class Robot:
    """A speaker and a microphone, and a test that talks to them."""

    def __init__(self, ros: Ros, room: LiveRoom, **capture: object) -> None:
        self.ros, self.room = ros, room
        self.speaker = ros.start_active('speaker', device='pulse')
        self.capture = ros.start_active('audio_capture', device=MICROPHONE, **capture)
        self.told = ros.hear('ai/speaking', Speaking, qos.SWITCH)
        self.sound = ros.hear('audio_stamped', SoundMessage, qos.AUDIO)

    def say(self, text: str) -> str:
        return str(self.ros.call(Say, 'ai/say', Say.Request(text=text, urgency=Speaking.NORMAL)).id)

    def until_said(self, id: str) -> Speaking:
        self.ros.until(lambda: self.told and self.told[-1].id == id and not self.told[-1].speaking, self.speaker)
        return self.told[-1]

    def silent_after_s(self, then_s: float, *processes: Process) -> float:
        """How long the loudspeaker was still heard after this time, less what the machine kept from running."""
        starved = Starvation(self.speaker, self.capture, *processes)
        self.ros.until(lambda: self.told[-1].broken_off, self.speaker)
        self.ros.spin(0.4)
        return max(self.room.loud_since(then_s), default=then_s) - then_s - starved.seconds

    def talked_over(self, voice: Samples, after_s: float) -> tuple[float, Speaking]:
        """How long it is still heard when somebody talks over it, and what it says it has said."""
        self.say(STORY)
        began_s = time.monotonic()
        self.ros.until(lambda: self.told and self.told[-1].speaking, self.speaker)
        self.ros.until(lambda: self.room.loud_since(began_s), self.speaker)
        self.ros.spin(after_s)
        return self.silent_after_s(self.room.talk(voice)), self.told[-1]

    def left_dbfs(self, from_s: float) -> float:
        """Level of the sound that is published, since then, where the loudspeaker is loud at the microphone."""
        powers = [np.square(np.frombuffer(bytes(each.audio.data), '<i2') / 32_768).mean() for each in self.sound]
        times = [nanoseconds_of(each.header.stamp) * 1e-9 - time.time() + time.monotonic() for each in self.sound]
        loud = np.array([now_s for now_s, is_loud, _ in self.room.blocks if is_loud and now_s >= from_s])
        near = [power for power, at_s in zip(powers, times, strict=True) if (np.abs(loud - at_s) < 0.03).any()]
        return 10.0 * float(np.log10(np.mean(near)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=5)
    parser.add_argument('--times', type=int, default=10)
    options = parser.parse_args()
    figures: dict[str, object] = {'seed': options.seed}
    for echo in ('cancelled', 'keep', 'cancel'):  # the first as if it were, for comparison
        with tempfile.TemporaryDirectory() as folder, pulse.pulse_null_sink(Path(folder)) as environment:
            figures[{'cancelled': 'neither', 'keep': 'gating', 'cancel': 'canceller'}[echo]] = measured(
                Path(folder), environment, options.seed, echo, options.times if echo == 'cancel' else 0
            )
    print(json.dumps(figures))


def measured(folder: Path, environment: dict[str, str], seed: int, echo: str, times: int) -> dict[str, object]:
    pulse.Microphones(environment, MICROPHONE)
    pulse.play_to(environment, pulse.SINK)
    live = LiveRoom(environment, Room(seed))
    with Ros(folder, environment) as ros:
        for name in ('decoder', 'chunk_encoder'):
            ros.start_active(name)
        robot = Robot(ros, live, echo=echo)
        decisions = ros.hear('ai/decision', Decision)
        ros.spin(3.0)
        began_s = time.monotonic()
        for text in RESPONSES:
            robot.until_said(robot.say(text))
            ros.spin(2.0)
        answers = [one for one in decisions if one.decision == Decision.RESPONSE]
        found: dict[str, object] = {
            'answers_to_itself': len(answers),
            'loudest_probability': max(one.probability for one in decisions),
            'left_dbfs': robot.left_dbfs(began_s),
        }
        if times:
            voice = at_level(speech('Stop talking, please. I want to say something.', 'en-us+f3'), -26.0)
            ways = np.random.default_rng(seed).uniform(1.0, 3.0, times)
            found['barge_in_ms'] = spread([robot.talked_over(voice, after_s)[0] for after_s in ways], 1e3)
            cancels = []
            for after_s in ways:
                ros.spin(1.5)
                robot.say(STORY)
                ros.until(lambda: robot.told[-1].speaking, robot.speaker)
                ros.spin(after_s)
                asked_s = time.monotonic()
                ros.call(CancelSpeech, 'ai/say/cancel', CancelSpeech.Request())
                cancels.append(robot.silent_after_s(asked_s))
            found['cancel_ms'] = spread(cancels, 1e3)
    live.leave()
    return found


if __name__ == '__main__':
    main()
