"""monitor as a process: what the other nodes publish is on the page, and its buttons do what they say, if they may."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from bokeh.client import pull_session
from bokeh.models import Button, ColumnDataSource, Div
from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool

from audio_interaction_ros.audio.formats import encode_s16le
from audio_interaction_ros.msg import Decision, Health, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, stamp_of
from tests.system.ros import free_port

pytestmark = pytest.mark.system


def seen(port: int) -> tuple[str, list[str], np.ndarray]:
    """What a viewer who opens the page now sees: its text, its buttons, and the spectrogram."""
    with pull_session(url=f'http://127.0.0.1:{port}/') as session:
        text = ' '.join(div.text for div in session.document.select({'type': Div}))
        buttons = [button.label for button in session.document.select({'type': Button})]
        (image,) = (
            source.data['image'][0]
            for source in session.document.select({'type': ColumnDataSource})
            if 'image' in source.data
        )
        return text, buttons, np.asarray(image)


@pytest.fixture(scope='module')
def page(shared_ros, tiny_checkpoint):
    port = free_port()
    process = shared_ros.start_active('monitor', checkpoint=tiny_checkpoint, port=port, control=True)
    yield shared_ros, process, port
    assert process.end() == 0
    assert 'Traceback' not in process.log


def test_what_is_heard_said_raised_and_wrong_is_on_the_page(page):
    ros, process, port = page
    header = Header(stamp=stamp_of(time.time_ns()), frame_id='mic')
    info = ros.talk('audio_info', AudioInfo, qos.LATCHED)
    audio = ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
    info.publish(AudioInfo(channels=1, sample_rate=16_000, sample_format='S16LE', coding_format='wave'))
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, (1_600, 1)).astype(np.float32)
    ros.talk('ai/decision', Decision, qos.EVENTS).publish(
        Decision(header=header, decision=Decision.RESPONSE, probability=0.97)
    )
    ros.talk('ai/response', Response, qos.EVENTS).publish(
        Response(header=header, id='1', text='I hear <b>glass</b>.', urgent=True, final=True, probability=0.97)
    )
    ros.talk('ai/safety_alert', SafetyAlert, qos.ALERTS).publish(
        SafetyAlert(header=header, id='a', hazard='fire', severity=SafetyAlert.DANGER, message='Fire! Get out.')
    )
    ros.talk('ai/health', Health, qos.EVENTS).publish(
        Health(header=header, state=Health.DEGRADED, reasons=['the queue grows'])
    )
    deadline = time.monotonic() + 60.0
    wanted = {'I hear &lt;b&gt;glass&lt;/b&gt;.', 'Fire! Get out.', 'danger', 'degraded', 'the queue grows', 'monitor'}
    while True:
        stamp = stamp_of(time.time_ns())
        audio.publish(
            AudioDataStamped(header=Header(stamp=stamp), audio=AudioData(data=bytes_array(encode_s16le(sound))))
        )
        ros.spin(0.1)
        text, _, image = seen(port)
        if image.any() and all(words in text for words in wanted):
            break
        assert time.monotonic() < deadline, (text, process.log)
    assert '<b>glass' not in text


def test_the_buttons_are_there_for_who_may_press_them(page):
    _, _, port = page
    assert sorted(seen(port)[1]) == ['Acknowledge all alerts', 'Close the microphone']


def test_a_closed_microphone_shows_no_sound_of_before_and_can_be_opened(page):
    ros, process, port = page
    asked = []

    def switch(request, response):
        asked.append(request.data)
        response.success = True
        return response

    ros.node.create_service(SetBool, 'ai/set_listening', switch)
    ros.talk('ai/listening', Bool, qos.SWITCH).publish(Bool(data=False))
    health = ros.talk('ai/health', Health, qos.EVENTS)
    deadline = time.monotonic() + 60.0
    while True:
        health.publish(Health(state=Health.SWITCHED_OFF))
        ros.spin(0.2)
        text, buttons, image = seen(port)
        if 'Open the microphone' in buttons and 'switched off' in text:  # two topics have no common order
            break
        assert time.monotonic() < deadline, process.log
    assert not image.any()


def test_a_page_that_cannot_be_served_fails_to_configure(ros, tiny_checkpoint):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        taken = ros.start('monitor', checkpoint=tiny_checkpoint, port=other.getsockname()[1])
        assert taken.wait() == 1
    assert 'cannot be listened on' in taken.log and 'give another port' in taken.log
    open_to_all = ros.start('monitor', checkpoint=tiny_checkpoint, address='0.0.0.0')
    assert open_to_all.wait() == 1
    assert 'which others can reach' in open_to_all.log and 'Traceback' not in open_to_all.log
