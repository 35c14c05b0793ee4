"""`python -m audio_interaction_ros.cli`, the same as `audio-interaction`."""

import sys

from audio_interaction_ros.cli import main

sys.exit(main())
