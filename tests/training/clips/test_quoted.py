"""Voices whose captions quote what they say have a text, where a recipe asks for it, each on one side of the split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.sources.miniature import text
from training.clips.ingest import ManifestPart
from training.clips.prepare import clips_parts, make_clips, prepare_sources
from training.clips.quoted import quoted
from training.clips.store import ClipStore, of_split
from training.corpus.jobs import Workers
from training.scripts.script import Speech
from training.scripts.shelf import MOST_TAKES, Shelf
from training.scripts.tasks.asr import recorded
from training.splits import SPLITS

RATE_HZ = 16_000


@pytest.mark.parametrize(
    ('category', 'caption', 'words'),
    [
        ('speech', 'Someone says "Login incorrect. Mailbox?"', 'Login incorrect. Mailbox?'),
        ('speech', 'A person calls "taxi", second take.', 'taxi'),
        ('speech', 'A person says in English: "drop the two when you add"', 'drop the two when you add'),
        ('spoken digit', 'A man with a US accent says the digit "zero" in English.', 'zero'),
        ('speech', 'A person says "ey ordenador" in Spanish, to wake an assistant.', ''),
        ('speech', 'Someone gives a prompt in Spanish that means "press star".', ''),
        ('speech', 'Someone says the Mandarin syllable "lei" (lěi).', ''),
        ('speech', 'Someone says "К вечеру, толпы народа".', ''),
        ('speech', 'Someone says "yes" and then "no".', ''),
        ('speech', 'One second of a person speaking.', ''),
        ('singing', 'Someone says "come and play".', ''),
    ],
)
def test_only_english_that_is_certainly_what_is_said_is_quoted(category: str, caption: str, words: str) -> None:
    assert quoted(category, caption) == words


def write_voices(root: Path) -> Path:
    """Digits by five voices, a name said often by one, and one reading that publishers have under eight names."""
    rows = [(f'{digit}-{voice}', voice, f'Someone says ""{digit}"".') for voice in 'abcde' for digit in ('one', 'two')]
    rows += [(f'amelia-{take}', 'jody', 'A person says ""Amelia"".') for take in range(12)]
    names = [f'reader {number}' for number in range(8)]
    rows += [(f'read-{name}', name, 'Someone says ""he was not an ill disposed young man"".') for name in names]
    rows += [(f'more-{name}', name, f'Someone says ""{name} goes on"".') for name in names]
    rows += [('cut', 'z', 'Someone says ""much more than there is room for in this piece"".')]
    lines = [f'{id_}.wav,speech,{voice},0,MIT,"{caption}"' for id_, voice, caption in rows]
    folder = text(root / 'manifest.csv', 'path,category,source_id,respond,licence,caption', *lines).parent
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 33 * RATE_HZ)
    for id_, _, _ in rows:
        soundfile.write(folder / f'{id_}.wav', noise[: (33 if id_ == 'cut' else 1) * RATE_HZ], RATE_HZ)
    return folder


def library(folder: Path, corpus: Path, quotations: bool) -> ClipStore:
    sources = prepare_sources({'clips': folder}, Workers(1).run, corpus, quotations)
    for part in clips_parts(sources, 10, 0, 1, corpus, quotations=quotations):
        if isinstance(part, ManifestPart):
            make_clips(part)
    return ClipStore(corpus / 'library' / 'clips')


@pytest.fixture(scope='module')
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, ClipStore]:
    root = tmp_path_factory.mktemp('quoted')
    folder = write_voices(root / 'clips')
    return {quotations: library(folder, root / f'{quotations}', quotations) for quotations in (False, True)}


def test_quotations_are_texts_only_where_a_recipe_asks_for_them(libraries: dict[bool, ClipStore]) -> None:
    assert not any(clip.text or clip.language for clip in libraries[False].clips)
    with_text = {clip.id: clip for clip in libraries[True].clips if clip.text}
    assert with_text['clips:one-a.wav'].text == 'one' and {clip.language for clip in with_text.values()} == {'en'}
    pieces = {f'clips:cut.wav@{start}' for start in (0, 30)}  # said in which of the two?
    assert pieces <= {clip.id for clip in libraries[True].clips} and not pieces & set(with_text)


def test_the_same_sentence_is_the_same_reading_and_its_voice_is_on_one_side(libraries: dict[bool, ClipStore]) -> None:
    apart = {clip.split for clip in libraries[False].clips if clip.id.startswith('clips:read-')}
    assert len(apart) > 1  # as two publishers of one reading are, by the hash of their names
    kept = {clip.split for clip in libraries[True].clips if clip.id.startswith(('clips:read-', 'clips:more-'))}
    assert kept == {max(apart, key=SPLITS.index)}
    sides: dict[str, set[str]] = {}
    for clip in libraries[True].clips:
        sides.setdefault(clip.recording, set()).add(clip.split)
    assert all(len(side) == 1 for side in sides.values())


def test_they_are_dictated_and_none_is_heard_over_and_over(libraries: dict[bool, ClipStore]) -> None:
    (side,) = {clip.split for clip in libraries[True].clips if clip.text == 'Amelia'}
    shelf = Shelf(libraries[True], side, lambda samples: samples)
    rng = np.random.default_rng(0)
    lines = [line for line in (recorded(shelf, rng) for _ in range(300)) if line is not None]
    assert 100 < len(lines) < 200  # half of what is dictated is rendered
    said: Counter[str] = Counter()
    for line in lines:
        assert isinstance(line.hear, Speech)
        assert line.say[0].text == line.hear.text == libraries[True][line.hear.clip].text
        said[line.hear.clip] += 1
    assert {libraries[True][id_].split for id_ in said} == {side}
    assert sum(libraries[True][id_].text == 'Amelia' for id_ in said) == MOST_TAKES
    assert not Shelf(libraries[False], side, lambda samples: samples).categories('said', 'en')
    assert len(of_split(libraries[True].clips, side)) > len(said)
