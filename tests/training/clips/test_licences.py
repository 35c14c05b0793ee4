"""A licence is permitted by the patterns of a recipe, alone and as one of several."""

from __future__ import annotations

import pytest

from training.clips.licences import permitted
from training.corpus.recipe import CorpusRecipe

NO_GPL = ('!*GPL*',)


@pytest.mark.parametrize(
    ('licence', 'patterns', 'expected'),
    [
        ('anything at all', (), True),
        ('', NO_GPL, True),
        ('CC-BY-SA-3.0', NO_GPL, True),
        ('GPL-2.0-or-later', NO_GPL, False),
        ('LGPL-2.1-only', NO_GPL, False),
        ('LicenseRef-Battle-Tanks-GPL', NO_GPL, False),
        ('GPL-3.0-only OR LGPL-3.0-only', NO_GPL, False),
        ('GPL-2.0-or-later OR CC-BY-SA-2.0', NO_GPL, True),
        ('GPL-2.0-or-later AND CC-BY-SA-3.0', NO_GPL, False),
        ('MIT OR (GPL-2.0-only AND CC0-1.0)', NO_GPL, True),
        ('CC0-1.0', ('CC0-*', 'CC-BY-*', '!*-SA-*'), True),
        ('CC-BY-SA-3.0', ('CC0-*', 'CC-BY-*', '!*-SA-*'), False),
        ('MIT', ('CC0-*', 'CC-BY-*'), False),
        ('', ('CC0-*',), False),
    ],
)
def test_a_licence_must_fit_what_is_wanted_and_nothing_that_is_refused(licence, patterns, expected):
    assert permitted(licence, patterns) is expected


def test_a_recipe_permits_everything_unless_it_says_otherwise():
    assert CorpusRecipe().licences == ()
    assert CorpusRecipe.model_validate({'licences': ['!*GPL*']}).licences == NO_GPL
