"""One page to look at and listen to: every type with its spectrogram, sound, label and signature.

librosa, which had no part in making the sounds or their signatures, is asked for onsets, tempo and pitch where a
signature states the like: a second opinion beside each.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup

from training.html import pages
from training.html.spectrograms import listen, sound_picture
from training.procedural.synth import SAMPLE_RATE, SoundType
from training.procedural.taxonomy import CRITERIA, DOMAINS
from training.random_streams import Purpose, random_stream

EXCERPT_S = 3.0
_SEPARATE = frozenset({'onsets_hz', 'rhythm_hz', 'on_s', 'off_s'})  # measures of sounds that begin more than once
_REGULAR, _TONAL = frozenset({'rhythm_hz'}), frozenset({'pitch_hz'})


def write_contact_sheet(types: Iterable[SoundType], out: Path, seed: int) -> None:
    """Write one HTML page of all `types`, in the order of the taxonomy; each is rendered once.

    Pictures and measures are of the whole sound, the audio is its first 3 s. The same seed gives the same sounds.
    """
    types = list(types)
    sections = []
    for subcategory, domain in DOMAINS.items():
        here = [kind for kind in types if kind.subcategory == subcategory]
        if here:
            articles = (_article(kind, seed) for kind in sorted(here, key=lambda kind: (not kind.respond, kind.name)))
            grid = Markup('<div class="grid">{}</div>').format(Markup().join(articles))
            sections.append((f'{domain} · {subcategory}', grid))
    responding = sum(kind.respond for kind in types)
    facts = (
        f'{len(types)} types, {responding} to answer; seed {seed}. Measures in red lie outside what the type states. '
        'What librosa finds stands below: onsets (red ticks in the picture), pitch (light line).'
    )
    pages.write_page(out, 'Procedural sounds', facts, sections)


def _article(kind: SoundType, seed: int) -> Markup:
    whole = kind.render(random_stream(Purpose.CONTACT_SHEET, seed, kind.name))
    limits = kind.signature.limits()
    measured = kind.signature.measure(whole)
    found = listen(
        whole,
        onsets=not _SEPARATE.isdisjoint(limits),
        tempo=not _REGULAR.isdisjoint(limits),
        pitch=not _TONAL.isdisjoint(limits),
    )
    return pages.render(
        'sound.html',
        kind=kind,
        criterion=CRITERIA[kind.criterion],
        seconds=whole.size / SAMPLE_RATE,
        picture=sound_picture(whole, kind.name, found),
        sound=pages.sound(whole[: round(EXCERPT_S * SAMPLE_RATE)]),
        measures=[
            (name, measured[name], low, high, not low <= measured[name] <= high) for name, (low, high) in limits.items()
        ],
        found=found.facts(),
    )
