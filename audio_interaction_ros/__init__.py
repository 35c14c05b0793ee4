"""An always-on ear and judgement for robots: 400 ms of sound in, silence or a sentence out."""
