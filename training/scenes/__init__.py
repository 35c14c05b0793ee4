"""From a bag of sounds to a scene that could happen: plan, refine, ground (paper §3.2, B.1, Figures 13 to 15)."""
