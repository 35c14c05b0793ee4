"""What the event log cannot read is counted, and after a while said."""

from __future__ import annotations

import pytest
from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticArray

from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.event_log import EventLogNode
from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF, SoundMessage

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(DESCRIBES_ITSELF, reason="this audio_common_msgs' messages say what they hold"),
]


@pytest.mark.cures('publish audio_info or set sample_rate')
def test_sound_whose_format_never_comes_is_counted_and_reported(in_process, tmp_path):
    it = in_process(EventLogNode, path=tmp_path / 'events.db', audio_s=2.0)
    assert it.node.autostart()
    audio = it.talk(SoundMessage, 'audio_stamped', qos.AUDIO)
    reports = it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)

    def value(key):
        pairs = [pair for report in reports[-1:] for pair in report.status[0].values]
        return next((int(pair.value) for pair in pairs if pair.key == key), 0)

    for _ in range(60):
        audio.publish(SoundMessage())
    it.until(lambda: value('unread_messages') == 60)
    assert value('refused_messages') == 0  # a format may come a little late
    for _ in range(60):
        audio.publish(SoundMessage())
    it.until(lambda: value('unread_messages') == 120)
    assert value('refused_messages') == 20
    info = it.talk(AudioInfo, 'audio_info', qos.LATCHED)
    info.publish(AudioInfo(channels=1, sample_rate=16_000, sample_format='S16LE', coding_format='wave'))
    it.until(it.node._heard.described.is_set)
    heard = it.hear(SoundMessage, 'audio_stamped', qos.AUDIO)
    for _ in range(2):  # the first has been taken by the log when the second has come to another
        audio.publish(SoundMessage())
    it.until(lambda: len(heard) == 2)
    assert it.node._heard.unread == 120
