"""chunk_encoder as a process: any format in, the offline numbers out, and bad input counted and survived."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, Header

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import encode_s16le
from audio_interaction_ros.audio.resample import to_mono_16k
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import EmbeddingSpec, chunk_of
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from audio_interaction_ros.streaming.loop import encode_waveform
from tests.system.ros import Starvation
from tests.tiny_checkpoint import DIM

pytestmark = pytest.mark.system
NS_PER_S = 1_000_000_000


class Talker:
    """Publishes sound as a driver would, on a clock of its own."""

    def __init__(self, ros, process):
        self.ros, self.process = ros, process
        self.embeddings = ros.hear('ai/embeddings', AudioEmbedding, qos.EMBEDDINGS)
        self.diagnostics = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
        self.info = ros.talk('audio_info', AudioInfo, qos.LATCHED)
        self.audio = ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
        self.now_ns = time.time_ns()

    def describe(self, rate=16_000, channels=1, sample_format='S16LE', coding='wave'):
        self.info.publish(
            AudioInfo(sample_rate=rate, channels=channels, sample_format=sample_format, coding_format=coding)
        )
        self.ros.taken('chunk_encoder')  # two topics have no common order
        self.embeddings.clear()

    def send(self, data, duration_s, stamp_ns=None):
        stamp = stamp_of(self.now_ns if stamp_ns is None else stamp_ns)
        header = Header(stamp=stamp, frame_id='mic')
        self.audio.publish(AudioDataStamped(header=header, audio=AudioData(data=bytes_array(data))))
        self.now_ns += round(duration_s * NS_PER_S)

    def play(self, samples, rate, block=1_000):
        for first in range(0, len(samples), block):
            piece = samples[first : first + block]
            self.send(encode_s16le(piece), len(piece) / rate)
            self.ros.spin(0.002)

    def heard(self, count):
        self.ros.until(lambda: len(self.embeddings) >= count, f'{len(self.embeddings)} of {count}: {self.process.log}')
        self.ros.spin(0.2)  # for one too many
        assert len(self.embeddings) == count
        return list(self.embeddings)

    def counter(self, name):
        for array in reversed(self.diagnostics):
            for status in array.status:
                for pair in status.values:
                    if pair.key == name:
                        return int(pair.value)
        return 0

    def logged(self, sentence):
        """Until it is in the log too: a count, and what is wrong, are on /diagnostics a moment before it."""
        self.ros.until(lambda: sentence in self.process.log, self.process)

    def counted(self, name, before, by=1):
        self.ros.until(lambda: self.counter(name) >= before + by, f'{name} was not counted: {self.process.log}')


@pytest.fixture(scope='module')
def talker(shared_ros, tiny_checkpoint):
    process = shared_ros.start_active('chunk_encoder', checkpoint=tiny_checkpoint)
    yield Talker(shared_ros, process)
    assert process.end() == 0
    assert 'Traceback' not in process.log


def sound(seconds, rate, channels, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (int(seconds * rate), channels)).astype(np.float32)


@pytest.mark.parametrize(('rate', 'channels'), [(16_000, 1), (44_100, 2), (48_000, 4)])
def test_any_rate_gives_the_offline_numbers(talker, encoder_half, rate, channels):
    talker.describe(rate, channels)
    samples = sound(1.7, rate, channels)
    talker.now_ns += 10 * NS_PER_S
    start_ns = talker.now_ns
    talker.play(samples, rate)
    heard = [chunk_of(message, EmbeddingSpec(encoder_half.digest, DIM)) for message in talker.heard(4)]
    exact = np.frombuffer(encode_s16le(samples), '<i2').reshape(samples.shape).astype(np.float32) / 32_768
    offline = list(encode_waveform(encoder_half, to_mono_16k(exact, rate), start_ns=start_ns))
    for chunk, other in zip(heard, offline, strict=False):
        assert (chunk.index, chunk.first_sample, chunk.dropped_before) == (other.index, other.first_sample, 0)
        assert abs(chunk.stamp_ns - other.stamp_ns) < 100_000
        assert chunk.level_dbfs == pytest.approx(other.level_dbfs, abs=0.01)
        torch.testing.assert_close(chunk.vectors, other.vectors, atol=1e-4, rtol=0)
    assert len({chunk.stream_id for chunk in heard}) == 1
    assert talker.embeddings[0].header.frame_id == 'mic'


def test_floats_are_heard_too(talker):
    talker.describe(sample_format='F32LE')
    talker.now_ns += 10 * NS_PER_S
    talker.send(np.full(CHUNK_SAMPLES, 0.1, '<f4').tobytes(), 0.4)
    assert talker.heard(1)[0].level_dbfs == pytest.approx(-20.0, abs=0.01)


def test_lost_sound_is_declared_and_a_jump_begins_a_new_stream(talker):
    talker.describe()
    talker.now_ns += 10 * NS_PER_S
    talker.play(sound(0.4, 16_000, 1), 16_000)
    talker.now_ns += NS_PER_S // 2
    after_gap_ns = talker.now_ns
    talker.play(sound(0.4, 16_000, 1), 16_000)
    talker.now_ns += 10 * NS_PER_S
    talker.play(sound(0.4, 16_000, 1), 16_000)
    first, second, third = talker.heard(3)
    assert first.stream_id == second.stream_id < third.stream_id
    assert (second.chunk_index, second.dropped_before, second.first_sample) == (1, 8_000, 14_400)
    assert abs(nanoseconds_of(second.header.stamp) - after_gap_ns) < 1_000_000
    assert (third.chunk_index, third.first_sample, third.dropped_before) == (0, 0, 0)


@pytest.mark.parametrize(
    ('sample_format', 'data', 'stamp_ns', 'sentence'),
    [
        ('S16LE', bytes(3), None, '3 bytes found'),
        ('F32LE', np.full(100, np.nan, '<f4').tobytes(), None, 'NaN'),
        ('S16LE', bytes(640), 0, 'without a stamp'),
        ('S16LE', bytes(2 * 16_000 * 11), None, '11 s of sound'),
    ],
)
def test_a_malformed_message_is_counted_and_survived(talker, sample_format, data, stamp_ns, sentence):
    talker.describe(sample_format=sample_format)
    before = talker.counter('refused_messages')
    talker.now_ns += 10 * NS_PER_S
    talker.send(data, 0.1, stamp_ns)
    talker.counted('refused_messages', before)
    silence = bytes(CHUNK_SAMPLES * (4 if sample_format == 'F32LE' else 2))
    talker.send(silence, 0.4)
    assert talker.heard(1)[0].level_dbfs == pytest.approx(-120.0)
    if before == 0:  # later ones of the kind are throttled
        talker.logged(sentence)


@pytest.mark.cures('publish one with a format that is read')
@pytest.mark.parametrize(
    ('description', 'sentence'),
    [({'coding': 'mp3'}, "coded as 'mp3'"), ({'channels': 0}, '0 channels'), ({'sample_format': 'S24LE'}, "'S24LE'")],
)
def test_a_stream_of_another_kind_is_refused_until_it_changes(talker, description, sentence):
    before = talker.counter('refused_formats'), talker.counter('refused_messages')
    talker.describe(**description)
    talker.send(bytes(12_800), 0.4)
    talker.counted('refused_formats', before[0])
    talker.counted('refused_messages', before[1])
    if before[0] == 0:
        talker.logged(sentence)
    talker.describe()
    talker.now_ns += 10 * NS_PER_S
    talker.send(bytes(12_800), 0.4)
    talker.heard(1)


def test_without_audio_info_the_parameters_say_what_it_is(ros, tiny_checkpoint):
    process = ros.start_active('chunk_encoder', checkpoint=tiny_checkpoint, sample_rate=8000, channels=2)
    embeddings = ros.hear('ai/embeddings', AudioEmbedding, qos.EMBEDDINGS)
    audio = ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
    header = Header(stamp=stamp_of(time.time_ns()))
    audio.publish(AudioDataStamped(header=header, audio=AudioData(data=bytes_array(bytes(8_000 * 2 * 2)))))
    ros.until(lambda: len(embeddings) == 2, process)


class Robot(Talker):
    """A driver that sends in real time, and what is said of its sound on /diagnostics."""

    def __init__(self, talker):
        self.__dict__.update(talker.__dict__)

    def play(self, samples, rate=16_000, block=640, stamp_ns=None):
        began_s, began_ns = time.monotonic(), time.time_ns()
        for first in range(0, len(samples), block):
            self.ros.spin(max(0.0, began_s + (first + block) / rate - time.monotonic()))
            at_ns = began_ns + first * NS_PER_S // rate
            self.send(encode_s16le(samples[first : first + block]), 0, at_ns if stamp_ns is None else stamp_ns(at_ns))

    def begin(self, **description):
        """Sound of another format in between, so that nothing of before says anything of what follows.

        What was counted before is in the diagnostics then: they tell of the stream that this sound began.
        """
        streams = self.counter('streams')
        self.describe(rate=8_000)
        self.send(bytes(160), 0, time.time_ns())
        self.counted('streams', streams)
        self.describe(**description)

    def said(self, words):
        return [
            array.header.stamp
            for array in self.diagnostics
            for status in array.status
            if words in status.message and status.level != DiagnosticStatus.OK
        ]

    def is_said_within_s(self, words, samples, **options):
        """How long after the beginning of the sound it was said, less what the machine took."""
        starved, began_ns = Starvation(self.process), time.time_ns()
        while not self.said(words):  # what a starved driver sends late and at once says nothing of its clock
            assert time.time_ns() - began_ns < 60 * NS_PER_S, f'"{words}" was not said: {self.process.log}'
            self.play(samples, **options)
            self.ros.spin(0.2)  # until the next /diagnostics
        return (nanoseconds_of(self.said(words)[0]) - began_ns) * 1e-9 - starved.seconds

    def is_over(self, words):
        """Wait until it is not said any more; a node that was starved says it for as long as the sound waited."""

        def over():
            if self.said(words):
                self.diagnostics.clear()
            return len(self.diagnostics) > 3

        self.diagnostics.clear()
        self.ros.until(over, f'"{words}" is said without end: {self.process.log}')


@pytest.fixture(scope='module')
def robot(talker):
    return Robot(talker)


@pytest.mark.parametrize(
    ('sent', 'channels', 'stamp_ns', 'words'),
    [
        ('sound', 1, lambda at_ns: 1_700_000_000 * NS_PER_S, 'every message has the same stamp'),
        ('stereo', 1, None, '2 channels would fit'),
        ('opposite', 2, None, 'the 2 channels cancel'),
        ('constant', 1, None, 'gives one value only'),
        ('lowest bit', 1, None, 'gives only its lowest bit'),
    ],
)
def test_what_cannot_be_heard_rightly_is_named_within_two_seconds(robot, sent, channels, stamp_ns, words):
    robot.begin(channels=channels)
    one = sound(2.4, 16_000, 1)
    samples = {
        'sound': one,
        'stereo': np.repeat(one, 2, 1),
        'opposite': np.concatenate([one, -one], 1),
        'constant': np.full_like(one, 5 / 32_768),
        'lowest bit': np.random.default_rng(0).integers(-1, 2, one.shape) / 32_768,
    }[sent]
    assert robot.is_said_within_s(words, samples.astype(np.float32), stamp_ns=stamp_ns) < 2.0
    robot.logged(words)
    robot.play(np.repeat(sound(4.5, 16_000, 1, seed=1), channels, 1))
    robot.is_over(words)


def test_bursts_stamped_on_arrival_are_heard_without_a_word(robot):
    robot.begin()
    before, log = robot.counter('gaps'), robot.process.log
    began_ns = time.time_ns()
    robot.play(
        sound(3.2, 16_000, 1), stamp_ns=lambda at_ns: began_ns + -(-(at_ns - began_ns) // 160_000_000) * 160_000_000
    )
    robot.heard(8)
    assert robot.process.log == log
    assert robot.counter('gaps') == before


@pytest.mark.cures('end all but one, or remap their topics')
def test_a_second_publisher_is_named_with_its_node(robot):
    other = robot.ros.node.create_publisher(AudioDataStamped, 'audio_stamped', qos.AUDIO)
    try:
        words = "'/audio_stamped' has 2 publishers (/test, /test), whose sounds get mixed up"
        robot.ros.until(lambda: robot.said(words), robot.process)
    finally:
        robot.ros.node.destroy_publisher(other)
    robot.is_over('publishers')


@pytest.mark.parametrize('checkpoint', ['no-such-checkpoint', 'damaged'])
def test_without_a_checkpoint_it_does_not_start(ros, tmp_path, checkpoint):
    (tmp_path / 'damaged').mkdir()
    (tmp_path / 'damaged' / 'config.json').write_text('{')
    given = checkpoint if checkpoint != 'damaged' else tmp_path / 'damaged'
    process = ros.start('chunk_encoder', checkpoint=given)
    assert process.wait() == 1
    assert str(given) in process.log
    assert 'Traceback' not in process.log


def test_nothing_of_before_a_pause_is_in_the_stream_after_it(talker):
    listening = talker.ros.talk('ai/listening', Bool, qos.LATCHED)
    talker.describe()
    loud, silent = np.full((6_400, 1), 0.5, np.float32), np.zeros((6_400, 1), np.float32)
    talker.play(np.concatenate([loud, loud[:5_000]]), 16_000)  # a chunk and most of another
    (before,) = talker.heard(1)
    listening.publish(Bool(data=False))
    talker.ros.taken('chunk_encoder')
    talker.play(loud, 16_000)  # on its way still
    talker.ros.taken('chunk_encoder', messages=7)
    listening.publish(Bool(data=True))
    talker.ros.taken('chunk_encoder')
    talker.play(silent, 16_000)  # after so short a gap that it would else only be declared
    _, after = talker.heard(2)
    assert after.stream_id > before.stream_id
    assert (after.chunk_index, after.first_sample) == (0, 0)
    assert after.level_dbfs == pytest.approx(-120.0)

    # When the switch goes, off as it is, another driver is heard.
    listening.publish(Bool(data=False))
    talker.ros.taken('chunk_encoder')
    talker.ros.node.destroy_publisher(listening)
    talker.ros.meet()
    talker.play(silent, 16_000)
    talker.heard(3)


def test_a_real_microphone_beside_simulated_time_is_named(ros, tiny_checkpoint):
    clock = ros.node.create_publisher(Clock, '/clock', 10)
    process = ros.start_active('chunk_encoder', checkpoint=tiny_checkpoint, use_sim_time='true')
    robot = Robot(Talker(ros, process))
    robot.describe()
    seconds = 0
    while len(robot.embeddings) < 4 or not robot.said('start these nodes without use_sim_time'):
        assert seconds < 60, process.log
        clock.publish(Clock(clock=stamp_of((10 + seconds) * NS_PER_S)))
        robot.play(sound(0.8, 16_000, 1))
        seconds += 1
    assert process.end() == 0
