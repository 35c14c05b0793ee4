"""What makes the checkpoint: corpus, stages, evaluation. Imports audio_interaction_ros, never the other way."""
