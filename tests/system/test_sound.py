"""The other package named audio_common_msgs: built, and spoken by every node."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path
from types import SimpleNamespace

import cmake
import ninja
import numpy as np
import pytest
import soundfile
import torch
from std_srvs.srv import SetBool

from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import EmbeddingSpec, chunk_of
from audio_interaction_ros.nodes.sound import read_self_described
from audio_interaction_ros.streaming.loop import encode_waveform
from tests.system.ros import COMPOSED, Ros
from tests.tiny_checkpoint import DIM

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


CODES = {'float32_data': 'f', 'int32_data': 'i', 'int16_data': 'h', 'int8_data': 'b', 'uint8_data': 'B'}


def described(code, data_field, **data):
    """That family's Audio, which cannot be imported beside the other."""
    kinds = {data_field: 'audio_common_msgs/AudioData', 'info': 'audio_common_msgs/AudioInfo'}
    info = SimpleNamespace(format=code, channels=2, rate=48_000, chunk=1)
    return SimpleNamespace(**{data_field: SimpleNamespace(**data)}, info=info, get_fields_and_field_types=lambda: kinds)


@pytest.fixture(scope='module')
def other_family(tmp_path_factory):
    """The environment of a robot that has that package instead."""
    folder = tmp_path_factory.mktemp('other')
    prefix, program = folder / 'prefix', Path(cmake.CMAKE_BIN_DIR) / 'cmake'
    configure = [
        program, '-S', Path(__file__).with_name('other_audio_common_msgs'), '-B', folder / 'build', '-G', 'Ninja',
        '-Wno-dev', f'-DCMAKE_MAKE_PROGRAM={Path(ninja.BIN_DIR) / "ninja"}', f'-DCMAKE_INSTALL_PREFIX={prefix}',
        f'-DCMAKE_PROJECT_INCLUDE={ROOT / "cmake/ros_wheels.cmake"}', f'-DPython3_EXECUTABLE={sys.executable}',
    ]  # fmt: skip
    search = {'AMENT_PREFIX_PATH': sys.prefix, 'CMAKE_PREFIX_PATH': sys.prefix}
    for command in (configure, [program, '--build', folder / 'build', '--target', 'install']):
        built = subprocess.run(command, env={**os.environ, **search}, capture_output=True, text=True)
        assert not built.returncode, built.stdout[-3000:] + built.stderr[-3000:]
    libraries = os.pathsep.join([str(prefix / 'lib'), os.environ.get('LD_LIBRARY_PATH', '')])
    return {'PYTHONPATH': str(next(prefix.glob('lib/python3*/site-packages'))), 'LD_LIBRARY_PATH': libraries}


def test_every_node_speaks_the_other_family(other_family, tmp_path, tiny_checkpoint, encoder_half):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 5 * 16_000)
    soundfile.write(tmp_path / 'sound.wav', noise, 16_000, 'PCM_16')
    with Ros(tmp_path, other_family) as ros:
        given = {'checkpoint': tiny_checkpoint, 'file': tmp_path / 'sound.wav', 'listening': 'false', 'audio_s': 2.0}
        process = ros.start('assistant', path=tmp_path / 'events.db', **given)
        for name in COMPOSED:
            ros.wait_state(name, 'active', process)
        ros.until(lambda: '/audio_stamped' in dict(ros.node.get_topic_names_and_types()), process)
        kinds = dict(ros.node.get_topic_names_and_types())
        assert kinds['/audio_stamped'] == ['audio_common_msgs/msg/AudioStamped'] and '/audio_info' not in kinds
        embeddings = ros.hear('ai/embeddings', AudioEmbedding, qos.EMBEDDINGS)
        assert ros.call(SetBool, 'ai/set_listening', SetBool.Request(data=True)).success
        ros.until(lambda: len(embeddings) == 12, process)
        assert process.end() == 0
        assert 'Traceback' not in process.log and 'refused' not in process.log, process.log
    heard = [chunk_of(message, EmbeddingSpec(encoder_half.digest, DIM)) for message in embeddings]
    offline = list(encode_waveform(encoder_half, read_recording(tmp_path / 'sound.wav').samples))
    for chunk, other in zip(heard, offline, strict=False):
        torch.testing.assert_close(chunk.vectors, other.vectors, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ('code', 'field', 'values'),
    [(1, 'float32_data', [0.5, -1.0]), (2, 'int32_data', [2**30, -(2**31)]), (8, 'int16_data', [2**14, -(2**15)]),
     (16, 'int8_data', [64, -128]), (32, 'uint8_data', [192, 0])],
)  # fmt: skip
@pytest.mark.parametrize('data_field', ['audio', 'audio_data'])
def test_every_kind_of_sample_is_read(code, field, values, data_field):
    audio = described(code, data_field, **{field: array(CODES[field], values)})
    samples, pcm = read_self_described(audio)
    np.testing.assert_array_equal(samples, [[0.5, -1.0]])
    assert (pcm.sample_rate_hz, pcm.channels) == (48_000, 2)


def test_what_it_does_not_know_is_refused():
    with pytest.raises(AudioFormatError, match='PortAudio sample format 4 found, one of 1, 2, 8, 16, 32 expected'):
        read_self_described(described(4, 'audio'))
    with pytest.raises(AudioFormatError, match='2 bytes found, a multiple of 4'):
        read_self_described(described(8, 'audio', int16_data=array('h', [1])))
