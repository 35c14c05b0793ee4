"""Public benchmarks are read as published, scored as published, and go on where they stopped."""

from __future__ import annotations

import json

import pytest

from tests.training.sources.miniature import sound
from tests.training.sources.test_speech import librispeech
from training.__main__ import main
from training.evaluate.benchmarks.items import BENCHMARKS
from training.evaluate.benchmarks.scores import Said, names_the_answer
from training.evaluate.command import BENCHMARK_NAMES

QUESTIONS = (
    ('sound', 'Which animal is it?', ['Dog', 'Cat', 'Cow', 'Hen'], 'Cat'),
    ('music', 'Which instrument plays?', ['A flute', 'A drum', 'A piano', 'A violin'], 'A drum'),
    ('speech', 'How many speak?', ['One', 'Two', 'Three', 'Four'], 'One'),
    ('speech', 'Who is angry?', ['The man', 'The woman', 'Both', 'Nobody'], 'The woman'),
)


def mmau(root):
    """As published: the table beside the folder of its audio, with more columns than are needed."""
    rows = []
    for number, (task, question, choices, answer) in enumerate(QUESTIONS):
        audio = f'./test-mini-audios/{number:04d}.wav'
        sound(root / audio, seconds=0.9)
        rows.append({
            'id': f'{number:04d}', 'audio_id': audio, 'question': question, 'choices': choices, 'answer': answer,
            'dataset': 'x', 'task': task, 'split': 'test-mini', 'category': 'Reasoning', 'difficulty': 'easy',
        })  # fmt: skip
    (root / 'mmau-test-mini.json').write_text(json.dumps(rows))
    return root


def scored(name, texts, items):
    said = [Said(i.id, i.group, text, i.wanted, i.options, i.language) for i, text in zip(items, texts, strict=True)]
    return BENCHMARKS[name].score(said, 1)


def values(figures):
    return {group: found['value'] for group, found in figures.items()}


def test_a_perfect_a_silent_and_an_always_first_system_get_what_they_must_in_mmau(tmp_path):
    items = list(BENCHMARKS['mmau'].read(mmau(tmp_path)))
    assert [len(item.sound().samples) for item in items] == [14_400] * 4
    perfect = values(scored('mmau', [item.wanted for item in items], items))
    assert perfect == {'sound': 100, 'music': 100, 'speech': 100, 'all': 100}
    assert values(scored('mmau', [''] * 4, items)) == {'sound': 0, 'music': 0, 'speech': 0, 'all': 0}
    first = values(scored('mmau', [item.options[0] for item in items], items))
    assert first == {'sound': 0, 'music': 0, 'speech': 50, 'all': 25}


@pytest.mark.parametrize(
    ('text', 'right'),
    [
        ('It is a drum.', True),
        ('a drum or a flute', False),
        ('drum', False),  # a word of the answer is missing
        ('A DRUM', True),
        ('', False),
    ],
)
def test_an_answer_has_every_word_of_the_right_option_and_none_that_only_others_have(text, right):
    assert names_the_answer(text, 'A drum', ['A flute', 'A drum', 'A piano']) is right


def test_librispeech_is_scored_by_part_and_only_its_test_side(tmp_path):
    items = list(BENCHMARKS['librispeech'].read(librispeech(tmp_path)))
    assert [(item.group, item.wanted) for item in items] == [('clean', 'CHAPTER ONE'), ('clean', 'A CAPITAL CITY')]
    assert values(scored('librispeech', ['Chapter 1.', 'a capital city'], items)) == {'clean': 0, 'all': 0}
    assert values(scored('librispeech', ['', ''], items)) == {'clean': 100, 'all': 100}
    assert scored('librispeech', ['chapter one', 'a capitol'], items)['all']['value'] == pytest.approx(40)


def test_a_translation_is_scored_by_sacrebleu_with_the_tokenizer_of_its_language():
    said = [Said(str(n), 'en-zh', text, text, (), 'chinese') for n, text in enumerate(('我们明天见', '请打开这盏灯吧'))]
    figures = BENCHMARKS['covost2-en-zh'].score(said, 1)
    assert figures['en-zh']['value'] == 100 and 'tok:zh' in figures['en-zh']['signature']


def run(capsys, *arguments):
    code = main(['evaluate', 'bench', *map(str, arguments)])
    captured = capsys.readouterr()
    return code, json.loads(captured.out.splitlines()[-1]) if code == 0 else captured.err


def test_a_benchmark_runs_stops_and_goes_on_from_the_answers_that_it_kept(tmp_path, capsys, tiny_checkpoint):
    data, out = mmau(tmp_path), tmp_path / 'answers.jsonl'
    use = ('--data', data, '--checkpoint', tiny_checkpoint, '--out', out)
    _, first = run(capsys, 'mmau', '--items', 2, *use)
    assert first['items'] == 2 and len(out.read_text().splitlines()) == 3
    kept = out.read_text()
    out.write_text(kept + '{"id": "0002", "sa')  # killed while it wrote
    code, whole = run(capsys, 'mmau', *use)
    assert (code, whole['items'], whole['paper']['all']) == (0, 4, 55.68)
    assert out.read_text().startswith(kept) and len(out.read_text().splitlines()) == 5
    fresh = run(capsys, 'mmau', *use[:4], '--out', tmp_path / 'other.jsonl')[1]
    assert fresh['figures'] == whole['figures']
    code, error = run(capsys, 'mmau', '--execution', 'streaming', *use)
    assert code == 2 and 'asked in another way; give another --out' in error


def test_a_damaged_recording_of_a_benchmark_is_heard_up_to_the_damage_and_counted_also_when_it_goes_on(
    tmp_path, capsys, tiny_checkpoint
):
    data = mmau(tmp_path)
    cut = data / 'test-mini-audios/0001.wav'
    cut.write_bytes(cut.read_bytes()[:20_000])
    (data / 'test-mini-audios/0002.wav').write_text('no sound')
    for _ in range(2):
        arguments = ['mmau', '--data', data, '--checkpoint', tiny_checkpoint, '--out', tmp_path / 'answers.jsonl']
        assert main(['evaluate', 'bench', *map(str, arguments)]) == 3
        said, told = capsys.readouterr()
        figures = json.loads(said.splitlines()[-1])
        assert (figures['items'], figures['unreadable'], figures['damaged']) == (3, 1, 1)
    assert 'cannot be read as audio' in told
    (row,) = [row for row in (tmp_path / 'answers.jsonl').read_text().splitlines() if 'damaged' in row]
    assert 'is damaged after 0.6 s' in row and json.loads(row)['id'] == '0001'


def test_questions_are_asked_aloud_too_and_in_a_stream(tmp_path, capsys, tiny_checkpoint):
    data, spoken = mmau(tmp_path / 'mmau'), tmp_path / 'spoken'
    use = ('--data', data, '--checkpoint', tiny_checkpoint, '--out', tmp_path / 'a.jsonl', '--spoken', spoken)
    code, error = run(capsys, 'mmau', *use)
    assert code == 2 and 'give a folder with the question of every item' in error
    for number in range(4):
        sound(spoken / f'{number:04d}.wav', seconds=0.5)
    assert run(capsys, 'mmau', *use)[1]['items'] == 4
    use = ('--data', data, '--checkpoint', tiny_checkpoint, '--out', tmp_path / 'b.jsonl')
    assert run(capsys, 'mmau', '--execution', 'streaming', *use)[1]['items'] == 4


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (None, 'has neither mmau-test-mini.json nor mmau-test.json'),
        ({'task': 'weather'}, "task 'weather'"),
        ({'answer': ''}, 'of the test part the answers are kept back, give mmau-test-mini.json'),
        ({'choices': None}, 'give it as published'),
    ],
)
def test_what_is_not_the_benchmark_is_one_sentence(tmp_path, capsys, tiny_checkpoint, change, sentence):
    if change is not None:
        table = mmau(tmp_path) / 'mmau-test-mini.json'
        table.write_text(json.dumps([row | change for row in json.loads(table.read_text())]))
    use = ('--data', tmp_path, '--checkpoint', tiny_checkpoint, '--out', tmp_path / 'a.jsonl')
    code, error = run(capsys, 'mmau', *use)
    assert code == 2 and sentence in error and 'Traceback' not in error


def test_the_command_offers_every_benchmark():
    assert tuple(BENCHMARKS) == BENCHMARK_NAMES
