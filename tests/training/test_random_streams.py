"""No two things in training draw the same random numbers, and a corpus keeps the numbers it was built with."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import numpy as np

from training.random_streams import Purpose, random_stream, torch_seed

TRAINING = Path(__file__).resolve().parents[2] / 'training'


def test_purposes_seeds_and_what_is_drawn_for_give_numbers_of_their_own():
    seen: dict[tuple[int, ...], tuple[object, ...]] = {}
    purposes = [purpose for purpose in Purpose if purpose > Purpose.NOISE_BED]
    # A zero at the end is what nothing there is to NumPy, so every purpose gives as many words each time.
    for purpose, seed, which in itertools.product(purposes, range(3), itertools.product(range(3), repeat=2)):
        drawn = tuple(random_stream(purpose, seed, *which).integers(2**62, size=2).tolist())
        assert drawn not in seen, (purpose, seed, which, seen[drawn])
        seen[drawn] = (purpose, seed, which)


def test_a_corpus_keeps_the_numbers_it_was_built_with():
    for purpose, key in (('NOISE_BED', 4), ('DEMO_SCENE', 50), ('SPLIT', 60), ('SCRIPT', 61), ('PERFORMANCE', 62),
                         ('CASTING', 63), ('FRESH_TEXTS', 64), ('PROCEDURAL_RENDER', 70), ('NOISE_TRACK', 71),
                         ('RECORDED_VARIANT', 73)):  # fmt: skip
        assert Purpose[purpose] == key
    assert random_stream(Purpose.SCRIPT, 7, 12).random() == np.random.default_rng([7, 61, 12]).random()
    dither = random_stream(Purpose.RECOGNISER_DITHER, None).normal(size=3)
    assert (dither == np.random.default_rng(0).normal(size=3)).all()
    assert random_stream(Purpose.NOISE_BED, None, 12).random() == np.random.default_rng([4, 12]).random()
    named = random_stream(Purpose.PROCEDURAL_RENDER, 7, 3, 'bell').random()
    assert named == np.random.default_rng([7, 70, 3, *b'bell']).random()


def test_pytorchs_seed_is_drawn_like_all_others():
    seeds = {torch_seed(Purpose.MASKS_AND_DROPOUT, seed, 1, step, 0) for seed in (1, 2) for step in range(3)}
    assert len(seeds) == 6 and all(0 <= seed < 2**63 for seed in seeds)


def test_nothing_in_training_draws_by_a_key_of_its_own():
    drawn_already = {'random_streams.py', 'tts.py', 'kokoro.py'}  # a voice is given a seed drawn for one utterance
    found = [
        f'{path.relative_to(TRAINING)}:{call.lineno}'
        for path in sorted(TRAINING.rglob('*.py'))
        if path.name not in drawn_already
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Attribute) and call.attr in ('default_rng', 'SeedSequence', 'RandomState')
    ]
    assert not found
