"""Values for the nodes of one process, in a file that ROS reads."""

from __future__ import annotations

import os

import rclpy
from rclpy.signals import SignalHandlerOptions

from audio_interaction_ros.nodes.audio_capture import AudioCaptureNode
from audio_interaction_ros.nodes.chunk_encoder import ChunkEncoderNode
from audio_interaction_ros.nodes.parameters import parameter_file


def test_each_node_of_a_process_gets_its_own_value_of_a_name_that_several_have(tmp_path, monkeypatch):
    """A microphone is a `device`, and so is what the encoder computes on."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    file = tmp_path / 'parameters.yaml'
    microphone = 'Ü: "USB", no. 1 (hw:1,0)'
    file.write_text(
        parameter_file(
            {
                'audio_capture': {'device': microphone, 'channels': '0,1', 'listening': False, 'use_sim_time': False},
                'chunk_encoder': {'checkpoint': 'on'},
            }
        )
    )
    rclpy.init(
        args=['--ros-args', '--params-file', str(file), '-r', '__ns:=/robot1'],
        domain_id=101 + os.getpid() % 100,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    nodes = []
    try:
        for cls in (AudioCaptureNode, ChunkEncoderNode):
            nodes.append(cls(['device', 'channels', 'listening', 'checkpoint']))
        capture, encoder = (node._declared.read() for node in nodes)
        assert (capture.device, capture.channels, capture.listening) == (microphone, '0,1', False)
        assert (encoder.device, encoder.channels, encoder.checkpoint) == ('cpu', 1, 'on')
    finally:
        for node in nodes:
            node.destroy_node()
        rclpy.shutdown()
