"""How fast the streaming engine is: `audio-interaction bench`. Nothing here runs on a robot at work."""
