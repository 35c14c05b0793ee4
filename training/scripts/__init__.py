"""Scripts say what a stream will contain before any sound is made: tasks, dialogues, and a sampler that draws them."""
