"""The table of everything in training that is drawn by chance, and the one function that gives it random numbers.

What is drawn depends on its purpose, the seed and what it is drawn for (an item, a step, a clip) and on nothing else,
so the same run makes the same bytes whoever makes which part of it, in whatever order. The numbers of two purposes are
independent as long as their keys differ, which `unique` and a test see to.
"""

from __future__ import annotations

from enum import IntEnum, unique

import numpy as np


@unique
class Purpose(IntEnum):
    """A `Purpose` is what random numbers are drawn for, by its key; a key is never given to another purpose.

    The comment says what a draw is for. Keys below 100 are those that every corpus so far was drawn with.
    """

    # Whatever the seed: the same in every corpus and every run.
    RECOGNISER_DITHER = 0
    NOISE_BED = 4  # number of the bed
    HELD_OUT_SILENCE = 112  # place of the stream in the corpus
    PROOF_STREAM = 113  # number of the stream
    PROOF_SOUND = 114
    TIMED_STREAM = 115

    # Building a corpus, by the seed of `corpus build`.
    CONTACT_SHEET = 32  # name of the sound
    DEMO_SCENE = 50
    LIVING_ROOM_SCENE = 51
    FIELD_SCENE = 52  # number of the scene
    SPLIT = 60  # item
    SCRIPT = 61  # item
    PERFORMANCE = 62  # item
    CASTING = 63  # item
    FRESH_TEXTS = 64  # batch, kind of text
    WRITTEN_TEXTS = 65  # batch; of `training texts`, which has a seed of its own
    ANSWERS = 66  # batch, likewise
    DEFINED_WORDS = 67  # likewise
    DEFINITIONS = 68  # likewise
    PROCEDURAL_RENDER = 70  # number of the render, name of the sound
    NOISE_TRACK = 71  # number of the track, side of the split and kind
    RECORDED_VARIANT = 73  # number of the variant, clip
    KOKORO_VOICE = 74  # number of the voice
    QUOTA = 75  # name of the source

    # Evaluation, by the seed of the command.
    ONE_CLIP_STREAM = 30  # number of the clip
    ORDINARY_AUDIO = 31
    HELD_OUT_RENDER = 40  # number of the render, name of the sound
    SCORED_STREAMS = 41
    CONCATENATION = 72
    SOUND_BENCH_LAYOUT = 80
    SOUND_BENCH_GROUPS = 81  # name of the sub-category
    BOOTSTRAP_OF_SUMS = 82
    BOOTSTRAP_OF_VALUES = 83
    ORDINARY_RECORDINGS = 84
    ALARM_IN_NOISE = 85  # number of the alarm, render
    REPEATED_ORDINARY_SOUND = 86  # number of the sound
    ASKED_CLIPS = 87  # 0 for which, else the number of the clip
    FIELD_TWIN = 88  # number of the recording
    ECHOING_MINUTES = 99

    # Training, by the seed of the recipe.
    INITIAL_WEIGHTS = 100  # what: 0 the stream model, 1 the heads of stage 0, 2 the low-rank updates,
    # 3 the event head
    EPOCH_ORDER = 101  # stage, epoch
    STEP_ORDER = 102  # stage, bucket of steps
    STREAM_AUGMENTATION = 103  # stage, step, place of the stream in the corpus
    MASKS_AND_DROPOUT = 104  # stage, step, number of the batch
    CROP = 105  # step, row
    HELD_OUT_CROPS = 106
    PROBE = 107  # number of the side
    HELD_OUT_SOUNDS = 108
    HARD_SAMPLE = 109  # stage, step
    HARD_STREAMS = 110  # stage, bucket of steps
    KEPT_CROPS = 111
    EVENT_HEAD = 116  # what, number: 0 the order of steps, 1 the moments, 2 the sound of a stream


def random_stream(purpose: Purpose, seed: int | None, *which: int | str) -> np.random.Generator:
    """Return the random numbers of one `purpose`, from its first on.

    `seed`: of the corpus, the recipe or the command, not negative; None for what is the same whatever the seed.
    `which`: what of the purpose it is for, not negative; always as many for one purpose. Raises ValueError for negative
    numbers.
    """
    words = [part for one in which for part in (one.encode() if isinstance(one, str) else [one])]
    return np.random.default_rng([*([] if seed is None else [seed]), int(purpose), *words])


def torch_seed(purpose: Purpose, seed: int, *which: int | str) -> int:
    """Return a seed for PyTorch's generator, drawn as `random_stream` draws."""
    return int(random_stream(purpose, seed, *which).integers(2**63))
