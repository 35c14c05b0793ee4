"""assistant: the five nodes in one process."""

from __future__ import annotations

import sys

from audio_interaction_ros.nodes.audio_capture import AudioCaptureNode
from audio_interaction_ros.nodes.chunk_encoder import ChunkEncoderNode
from audio_interaction_ros.nodes.decoder import DecoderNode
from audio_interaction_ros.nodes.event_log import EventLogNode
from audio_interaction_ros.nodes.lifecycle import run
from audio_interaction_ros.nodes.safety_alert import SafetyAlertNode


def main(args: list[str] | None = None) -> int:
    """Run the nodes and return the exit status; the listeners start first, so that nothing is said unheard."""
    return run(args, EventLogNode, SafetyAlertNode, DecoderNode, ChunkEncoderNode, AudioCaptureNode)


if __name__ == '__main__':
    sys.exit(main())
