"""What a stream will contain before any sound is made: tasks, dialogues, and the sampler that draws them."""
