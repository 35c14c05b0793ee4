"""Was the right thing said? By what a sentence is about, or by its words."""

from __future__ import annotations

import functools
import json
import re

from audio_interaction_ros.safety.hazards import HazardTaxonomy, default_taxonomy_path
from training.clips.answers import load_answers
from training.speech.normalise.spoken_form import Language, normalise_for_wer


@functools.cache
def _hazards() -> HazardTaxonomy:
    return HazardTaxonomy.load(default_taxonomy_path())


def category_named(said: str, category: str) -> bool:
    """Return whether a sentence is about a category: an answer of it, of the same hazard, or with its name in it."""
    answers = load_answers()
    sentences = answers[category].sentences if category in answers else ()
    if said in sentences:
        return True
    # Where another category has exactly this sentence, that is what was meant.
    if any(said in answer.sentences for answer in answers.values()):
        return False
    if re.search(rf'\b{re.escape(category)}\b', said, re.IGNORECASE):
        return True
    named = {_hazards().hazard_of(sentence).name for sentence in sentences} - {'unknown'}
    return _hazards().hazard_of(said).name in named


def same_words(said: str, wanted: str, language: str) -> bool:
    """Return whether two texts say the same.

    Where both are JSON (a tool call) they must be equal as objects, else equal as `normalised` has them.
    """
    try:
        return json.loads(said) == json.loads(wanted)
    except ValueError:
        return normalised(said, language) == normalised(wanted, language)


def normalised(text: str, language: str) -> str:
    """Return a text as `normalise_for_wer` has it: lower case, no punctuation, numbers in digits.

    `language` is 'english' or 'chinese'.
    """
    code: Language = 'zh' if language == 'chinese' else 'en'
    return normalise_for_wer(text, code)
