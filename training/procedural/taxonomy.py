"""Where a sound stands: the 17 sub-categories of the benchmark, and why it deserves an answer or none.

Domains and sub-categories are those of Proactive-Sound-Bench (paper Table 10, D.2); the criteria are the four
of the silent-audio audit (paper Figure 15 B). Silence is the default: a sound is answered only by a criterion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.procedural.signature import Range, Signature
from training.procedural.synth import Rng, SoundType

# Sub-category → domain, in the order of Table 10.
DOMAINS = {
    'Body Movements': 'Human',
    'Physiological States': 'Human',
    'Emotion Expression': 'Human',
    'Collective Ambience': 'Human',
    'Personal Care': 'Daily Living',
    'Daily Affairs': 'Daily Living',
    'Housekeeping': 'Daily Living',
    'House Equipment': 'Equipment',
    'Industrial Tools': 'Equipment',
    'Vehicle': 'Traffic',
    'Traffic': 'Traffic',
    'Large Traffic': 'Traffic',
    'Meteorology': 'Environment',
    'Geological Hazards': 'Environment',
    'Ecological Context': 'Environment',
    'Social Places': 'Environment',
    'Artistic': 'Music',
}

CRITERIA = {
    'i': 'someone is in acute bodily distress',
    'ii': 'severe weather, natural hazard or a structure giving way',
    'iii': 'equipment is being damaged, leaks or may burn',
    'iv': 'a signal or event nearby that endangers people',
    'none': 'nothing to answer',
}

# The types that were there before the taxonomy: sub-category → names, and the criterion of each that has one.
_PLACES = {
    'Body Movements': 'footsteps',
    'Physiological States': 'whistling',
    'Collective Ambience': 'applause crowd_murmur',
    'Daily Affairs': (
        'glass_pane glass_vessel glass_bottle notification_chime phone_bell phone_melody phone_vibration dishes '
        'cutlery glasses_toast coins keys knocks door drawer typing mouse_clicks tap_water'
    ),
    'Housekeeping': 'microwave_beeps',
    'House Equipment': (
        'appliance_beep fan air_conditioner vacuum_cleaner hair_dryer shaver washing_machine clock kettle mains_hum '
        'static white_noise pink_noise brown_noise'
    ),
    'Industrial Tools': 'hammering',
    'Vehicle': 'engine_idle indicator',
    'Traffic': 'siren_wail siren_yelp siren_hi_lo car_horn reversing_beeper car_passing',
    'Large Traffic': 'truck_horn train',
    'Meteorology': 'wind rain sea thunder',
    'Ecological Context': 'bird_chirps crickets cicadas',
    'Social Places': (
        'smoke_alarm_t3 smoke_alarm_520 smoke_alarm_beeping co_alarm_t4 fire_alarm_warble fire_bell '
        'siren_civil_defence propeller_plane helicopter wind_chimes'
    ),
    'Artistic': 'flute_melody plucked_melody piano_chords synth_drone',
}
# The criterion of categories whose types state none, or different ones, or of which there are recordings only.
CATEGORY_CRITERIA = {
    'glass breaking': 'ii',
    'smoke alarm': 'iii',
    'siren': 'iv',
    'car horn': 'iv',
    'crash': 'iv',
    'gunshot': 'iv',
    'fuse': 'iii',
    'vomiting': 'i',
    'crying': 'i',
    'snake': 'ii',
    'power tool': 'iv',
    'door forced': 'iv',
    'bicycle bell': 'iv',
}


def place(kind: SoundType) -> SoundType:
    """Return a type of `SOUND_TYPES` with its sub-category and criterion filled in.

    Raises KeyError for a type that the taxonomy has no place for.
    """
    places = {name: subcategory for subcategory, names in _PLACES.items() for name in names.split()}
    criterion = CATEGORY_CRITERIA[kind.category] if kind.respond else 'none'
    if kind.name == 'siren_civil_defence':  # sounded for storms and floods, not by a vehicle
        criterion = 'ii'
    return replace(kind, subcategory=places[kind.name], criterion=criterion)


def event(
    render: Callable[[Rng], NDArray[np.float32]],
    subcategory: str,
    criterion: str,
    category: str,
    caption: str,
    **limits: Range,
) -> SoundType:
    """Return a sound type named like its renderer, with its place in the taxonomy and its signature.

    It deserves an answer if `criterion` is not 'none'. `limits` are (least, most) by name of measure. Raises KeyError
    for a sub-category or criterion that does not exist.
    """
    _ = DOMAINS[subcategory], CRITERIA[criterion]
    respond = criterion != 'none'
    return SoundType(render.__name__, category, respond, caption, render, subcategory, criterion, Signature(**limits))
