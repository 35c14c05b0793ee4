"""Curation makes a scene that could happen of a bag of sounds: plan, refine, ground (§3.2, B.1, Figures 13 to 15)."""
