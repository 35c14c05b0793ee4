"""What was said and why, kept on this machine if its owner wants that: the log, explanations, sound, export."""
