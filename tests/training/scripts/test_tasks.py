"""Every sub-task of the taxonomy writes scripts that do what its definition says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from tests.training.scripts.conftest import TYPES, reprocess
from training.clips.store import ClipStore, ClipStoreError, StoredClip, write_part
from training.corpus.recipe import CorpusRecipe
from training.render.render import Performance, perform
from training.scripts.sampler import MixIns, all_tasks, generator, write_script
from training.scripts.script import Line, Say, Script, Sound, Speech, taxonomy, texts
from training.scripts.shelf import Shelf
from training.speech.casting import cast, utterance_id
from training.speech.espeak import Speaker
from training.speech.tts import EspeakTts
from training.speech.voices import SpeechError
from training.streams import Role, schedule


def replies(script: Script) -> list[Say]:
    return [say for line in script.lines for say in line.say]


def test_there_are_seven_abilities_with_four_sub_tasks_each_all_defined_and_all_with_a_generator():
    assert len(taxonomy()) == 7 and len(all_tasks()) == 28
    for tasks in taxonomy().values():
        assert len(tasks) == 4
        for row in tasks.values():
            assert row['definition'].endswith('.') and row['example']


@pytest.mark.parametrize(('category', 'task'), all_tasks())
def test_a_sub_task_writes_scripts_of_its_own_that_depend_on_the_seed_alone(shelf: Shelf, category: str, task: str):
    said = []
    for seed in range(8):
        script = generator(category, task)(shelf, np.random.default_rng(seed))
        assert (script.category, script.task) == (category, task)
        assert script == generator(category, task)(shelf, np.random.default_rng(seed))
        said.append(bool(replies(script)))
        for line in script.lines:
            if isinstance(line.hear, Speech):
                words = line.hear.text.split()
                assert all(say.word < len(words) for say in line.say if say.due == 'word')
    assert any(said) if category == 'proactive respond' else all(said)  # of which a quarter are uneventful


def test_dictation_writes_every_word_and_only_words_that_were_said(shelf: Shelf):
    script = generator('real-time ASR', 'dictation')(shelf, np.random.default_rng(3))
    for line in script.lines:
        if isinstance(line.hear, Speech) and line.say and line.say[0].due == 'word':
            assert [say.text for say in line.say] == line.hear.text.split()
            assert [say.word for say in line.say] == list(range(len(line.say)))


def test_the_interpreter_speaks_after_each_part_and_translates_it(shelf: Shelf):
    script = generator('streaming translation', 'simultaneous')(shelf, np.random.default_rng(4))
    pairs = {english: chinese for row in texts()['simultaneous'] for english, chinese in row}
    for line in script.lines:
        if isinstance(line.hear, Speech) and line.say and line.say[0].due == 'word':
            words, first = line.hear.text.split(), 0
            for say in line.say:
                assert pairs[' '.join(words[first : say.word + 1])] == say.text
                first = say.word + 1
            assert first == len(words)


def test_a_count_says_how_often_the_sound_is_heard(shelf: Shelf):
    numbers = ['no', 'one', 'two', 'three', 'four', 'five', 'six']
    for seed in range(10):
        script = generator('streaming audio understanding', 'count')(shelf, np.random.default_rng(seed))
        heard = sum(isinstance(line.hear, Sound) for line in script.lines)
        assert script.lines[-1].say[0].text.lower() == f'{numbers[heard]} times.'


def test_the_memory_question_comes_at_least_three_rounds_after_what_it_needs(shelf: Shelf):
    for seed in range(10):
        script = generator('voice chatting', 'memory')(shelf, np.random.default_rng(seed))
        rounds = [line for line in script.lines if line.say]
        assert len(rounds) >= 5
        answer, told = rounds[-1].say[0].text, rounds[0].hear.text  # type: ignore[union-attr]
        values = [value for row in texts()['memory'] for value in row['values'] if value in answer]
        assert values and all(value in told and value in rounds[0].say[0].text for value in values)


def test_a_spoken_instruction_is_confirmed_with_what_was_understood(shelf: Shelf):
    spoken = 0
    for category, task in all_tasks():
        row = texts()['instructions'].get(task)
        for seed in range(4 if row else 0):
            script = generator(category, task)(shelf, np.random.default_rng(seed))
            if not script.instruction:
                (said,) = script.lines[0].say
                assert said.text.startswith(row['confirm'].split('{')[0]) and '{' not in said.text
                spoken += 1
    assert spoken > 10


def test_only_the_sound_that_was_named_calls_the_tool(shelf: Shelf, library: ClipStore):
    for seed in range(10):
        script = generator('audio agent', 'on sound')(shelf, np.random.default_rng(seed))
        asked = script.instruction or next(x.hear.text for x in script.lines if isinstance(x.hear, Speech))
        for line in script.lines:
            if isinstance(line.hear, Sound):
                assert bool(line.say) == (library[line.hear.clip].category in asked)
                for say in line.say:
                    assert 'tool' in json.loads(say.text)


def test_proactive_streams_warn_of_every_hazard_and_of_nothing_else(shelf: Shelf, library: ClipStore):
    hazards = []
    for task in taxonomy()['proactive respond']:
        for seed in range(10):
            script = generator('proactive respond', task)(shelf, np.random.default_rng(seed))
            assert script.made_by == 'grammar'
            hazards.append(sum(bool(line.say) for line in script.lines))
            for line in script.lines:
                if isinstance(line.hear, Sound):
                    assert bool(line.say) == bool(library[line.hear.clip].respond)
    assert {0, 1, 2} == set(hazards)


def test_mix_ins_come_as_often_as_the_table_says(shelf: Shelf):
    mixed: list[str] = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        mixed += write_script('voice chatting', 'fact', shelf, MixIns(), rng).mixed_in
    shares = {name: mixed.count(name) / 400 for name in ('silent', 'proactive', 'history review')}
    assert shares['silent'] == pytest.approx(0.40, abs=0.08)
    assert shares['proactive'] == pytest.approx(0.30, abs=0.08)
    assert shares['history review'] == pytest.approx(0.30, abs=0.08)


def test_a_recipe_may_have_recorded_voices_music_and_steps_heard_and_left_alone(library: ClipStore, tmp_path: Path):
    rows = [
        (StoredClip(id=name, kind=kind, category=category, recording=name), library.samples('rain'))
        for name, kind, category in (
            ('somebody', 'speech', 'speech'),
            ('band', 'music', 'music'),
            ('drum', 'event', 'drums'),
            ('walk', 'event', 'footsteps'),
            ('called', 'speech', 'speech'),
        )
    ]
    rows[-1] = (rows[-1][0].model_copy(update={'respond': None}), rows[-1][1])  # who might mean the robot
    rows += [(library[clip.id], library.samples(clip.id)) for clip in library.clips if clip.kind == 'event']
    write_part(tmp_path / 'part', rows)
    shelf = Shelf(ClipStore(tmp_path), 'train', reprocess)
    without = MixIns(silent=0.0, proactive=0.0, history_review=0.0)
    drawn: Counter[str] = Counter()
    for seed in range(200):
        plain, mixed = (
            write_script('voice chatting', 'fact', shelf, mix_ins, np.random.default_rng(seed))
            for mix_ins in (without, without.model_copy(update={'ordinary': 0.5}))
        )
        added = [line for line in mixed.lines if line not in plain.lines]
        assert bool(added) == ('ordinary' in mixed.mixed_in) and not plain.mixed_in
        for line in added:
            assert isinstance(line.hear, Sound) and not line.say and line.role is Role.FOREGROUND
            drawn[line.hear.clip] += 1
    assert drawn.total() / 200 == pytest.approx(0.5, abs=0.1)
    assert drawn['somebody'] / drawn.total() == pytest.approx(0.5, abs=0.13)
    assert {'band', 'drum', 'walk'} < set(drawn) and not set(drawn) & {'called', 'rain'}
    dictation = write_script(
        'real-time ASR', 'dictation', shelf, MixIns(ordinary=1.0), np.random.default_rng(1)
    )  # somebody has asked for every word
    assert 'ordinary' not in dictation.mixed_in


def test_a_history_question_asks_for_what_is_at_least_three_rounds_back(shelf: Shelf):
    asked = 0
    for seed in range(60):
        script = write_script('voice chatting', 'chit-chat', shelf, MixIns(), np.random.default_rng(seed))
        if 'history review' not in script.mixed_in:
            continue
        asked += 1
        *rounds, question = script.lines
        answer = question.say[0].text
        told = [n for n, line in enumerate(rounds) if answer in {said(line), heard(line, shelf)}]
        assert told and told[0] <= len(rounds) - 3 and not set(told) & {len(rounds) - 1, len(rounds) - 2}
    assert asked > 8


def said(line: Line) -> str:
    return ' '.join(say.text for say in line.say)


def heard(line: Line, shelf: Shelf) -> str:
    phrase = shelf.phrase(line.hear.clip) if isinstance(line.hear, Sound) else line.hear.text
    return f'{phrase[0].upper()}{phrase[1:]}.'


def test_where_replies_come_word_by_word_nothing_is_asked_about_history(shelf: Shelf):
    certain = MixIns(history_review=1.0)
    for seed in range(5):
        script = write_script('real-time ASR', 'dictation', shelf, certain, np.random.default_rng(seed))
        assert 'history review' not in script.mixed_in


def test_a_sound_that_may_deserve_an_answer_is_not_mixed_in_as_silent(library: ClipStore, tmp_path: Path):
    """Labelled silent, of a category that is answered: borderline, and so left out."""
    clip = StoredClip(id='far', kind='event', category='car horn', respond=False, recording='far')
    write_part(tmp_path / 'part', [(clip, library.samples('car_horn'))])
    shelf = Shelf(ClipStore(tmp_path), 'train', reprocess)
    silent = MixIns(silent=1.0, proactive=0.0, history_review=0.0)
    script = write_script('voice chatting', 'multi-turn', shelf, silent, np.random.default_rng(1))
    assert script.mixed_in == () and 'borderline by rules' in script.notes[0]


def test_a_script_says_who_had_a_hand_in_it(shelf: Shelf):
    makers = set()
    for seed in range(40):
        script = write_script('voice chatting', 'fact', shelf, MixIns(), np.random.default_rng(seed))
        assert ('rules' in script.made_by) == bool({'silent', 'history review'} & set(script.mixed_in))
        makers.add(script.made_by)
    assert makers == {'templates', 'templates, rules'}


def test_what_the_library_lacks_is_named(shelf: Shelf):
    with pytest.raises(ClipStoreError, match="no tag 'unheard of'"):
        shelf.draw(np.random.default_rng(6), 'tag', 'unheard of')
    with pytest.raises(ClipStoreError, match='no clips'):
        ClipStore(Path('/nonexistent'))


VOICES = EspeakTts(Speaker()).voices('en')


def test_speakers_keep_their_voices_and_share_them_only_where_there_are_not_enough():
    lines = tuple(Line(hear=Speech(text='x', speaker=speaker)) for speaker in (0, 1, 0, 2))
    script = Script(category='c', task='t', lines=lines)
    casting = cast(script, lambda language: VOICES, np.random.default_rng(7))
    assert len(casting) == len(set(casting.values())) == 3
    two = cast(script, lambda language: VOICES[:2], np.random.default_rng(7))
    assert len(two) == 3 and set(two.values()) == set(VOICES[:2])
    with pytest.raises(SpeechError, match='no voice for english'):
        cast(script, lambda language: (), np.random.default_rng(7))


def test_a_performed_reply_falls_in_the_chunk_where_its_word_ends(library: ClipStore, tmp_path: Path):
    """Speech of known word times: a tone a word, 0.5 s each."""
    line = Line(
        hear=Speech(text='one two three'),
        say=tuple(Say(text=word, due='word', word=n) for n, word in enumerate(('one', 'two', 'three'))),
        gap_s=0.8,
    )
    script = Script(category='real-time ASR', task='dictation', lines=(line,))
    id_ = utterance_id('one two three', VOICES[0])
    clip = StoredClip(
        id=id_,
        kind='speech',
        category='speech',
        respond=None,
        recording='r',
        words=(('one', 0.0, 0.5), ('two', 0.5, 1.0), ('three', 1.0, 1.5)),
    )
    tone = (0.3 * np.sin(np.arange(int(1.5 * SAMPLE_RATE_HZ)) / 5)).astype(np.float32)
    write_part(tmp_path / 'speech', [(clip, tone)])
    stream, samples = perform(
        's',
        script,
        'train',
        {(0, 'english'): VOICES[0]},
        library,
        ClipStore(tmp_path),
        Performance(),
        np.random.default_rng(8),
    )
    assert [reply.due for reply in stream.replies] == [12_800 + 8_000, 12_800 + 16_000, 12_800 + 24_000]
    assert [reply.chunk for reply in stream.replies] == [3, 4, 5]
    assert stream.drains == tuple(schedule(stream.replies, stream.chunks, aloud=False))
    assert len(samples) == stream.chunks * 6_400


def test_layers_sound_but_are_not_answered(library: ClipStore, tmp_path: Path):
    clip = StoredClip(id='unused', kind='speech', category='speech', recording='r')
    write_part(tmp_path / 'speech', [(clip, np.ones(8_000, np.float32))])
    lines = (
        Line(hear=Sound(clip='rain', longest_s=5.0), role=Role.AMBIENT),
        Line(hear=Sound(clip='siren_wail'), say=(Say(text='A siren!', emotion='urgent', due='evidence'),)),
    )
    script = Script(category='proactive respond', task='hazard', lines=lines)
    stream, _ = perform('s', script, 'train', {}, library, ClipStore(tmp_path), Performance(), np.random.default_rng(9))
    assert {event.role for event in stream.events} == {Role.AMBIENT, Role.FOREGROUND}
    assert len(stream.replies) == 1 and stream.replies[0].due - stream.replies[0].onset <= 1.2 * SAMPLE_RATE_HZ


def test_without_curation_any_sounds_meet_and_are_labelled_by_the_same_rules(library: ClipStore):
    shelf = Shelf(library, 'train', reprocess, curated=False)
    heard: set[str] = set()
    for seed in range(60):
        scene = shelf.scene(np.random.default_rng(seed), foregrounds=3)
        assert scene.made_by == 'chance'
        assert sum(line.role is Role.FOREGROUND for line in scene.lines) <= 3
        for line in scene.lines:
            assert isinstance(line.hear, Sound)
            clip = library[line.hear.clip]
            assert bool(line.say) == bool(clip.respond)
            assert line.role is Role.FOREGROUND or not clip.respond
            heard.add(clip.id)
    assert heard == set(TYPES)
    script = generator('proactive respond', 'hazard')(shelf, np.random.default_rng(1))
    assert script.made_by == 'chance'


def test_without_tfjp_a_clip_is_heard_as_it_is(library: ClipStore, tmp_path: Path):
    """Half a second of noise, a second of nothing, and noise again for a length that is no multiple of 200 ms."""
    noise = 0.3 * np.random.default_rng(4).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    pause = np.concatenate([noise[:8_000], np.zeros(SAMPLE_RATE_HZ, np.float32), noise[:7_777]])
    clips = [(library[id_], library.samples(id_)) for id_ in ('event', 'ambient')]
    clips.append((StoredClip(id='pause', category='door', respond=False, recording='r'), pause))
    write_part(tmp_path / 'clips', clips)
    script = Script(category='proactive respond', task='hazard', lines=(Line(hear=Sound(clip='pause')),))
    heard = {}
    for name, settings in (('tfjp', Performance()), ('none', Performance(tfjp=None))):
        with_it = ClipStore(tmp_path)
        stream, _ = perform('s', script, 'train', {}, with_it, with_it, settings, np.random.default_rng(5))
        heard[name] = stream.events[0].end - stream.events[0].onset
    assert heard['none'] == len(pause)
    assert heard['tfjp'] < len(pause) - 9_600 and heard['tfjp'] % 3_200 == 0


@pytest.mark.parametrize(
    ('shares', 'sentence'),
    [
        ({'memori': 2.0}, r"shares of unknown names \['memori'\]; there are \["),
        (dict.fromkeys(taxonomy()['voice chatting'], 0.0), "every sub-task of 'voice chatting' has the share 0; give"),
    ],
)
def test_shares_that_cannot_be_met_are_one_sentence(shares: dict[str, float], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        CorpusRecipe(shares=shares)
