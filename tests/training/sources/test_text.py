"""Each text corpus, as published, becomes dialogues; what is no dialogue is left out and counted."""

import json

import pytest

from tests.training.sources.miniature import json_lines, refuses, text
from training.sources import SOURCES, find_source
from training.sources.base import split_of
from training.sources.text import TextSource


def dialogues(name, folder):
    return list(find_source(name).prepare(folder))


def said(dialogue):
    assert [turn.role for turn in dialogue.turns] == ['user', 'assistant'] * (len(dialogue.turns) // 2)
    return [turn.text for turn in dialogue.turns]


def test_moss_is_read_in_all_three_forms(tmp_path):
    plain = '[Human]: 你好<eoh> [MOSS]: 你好！\n很高兴见到你<eoa> [Human]: 再见<eoh> [MOSS]: 再见<eoa> '
    text(
        tmp_path / 'zh_honesty.json',
        json.dumps([{'conversation_id': 1, 'prefix': 'MOSS is …', 'num_turns': 2, 'plain_text': plain}], indent=2),
    )
    chat = {
        'turn_10': {'Human': '<|Human|>: Bye<eoh>\n', 'MOSS': '<|MOSS|>: Goodbye<sup><|1|></sup>.<eom>\n'},
        'turn_2': {'Human': '<|Human|>: Hello there<eoh>\n', 'MOSS': '<|MOSS|>: Hi.<eom>\n'},
    }
    for turn in chat.values():
        turn |= {'Inner Thoughts': '<|Inner Thoughts|>: None<eot>\n', 'Commands': '<|Commands|>: None<eoc>\n'}
    json_lines(tmp_path / 'moss-003-sft-no-tools.jsonl', {'conversation_id': '3', 'meta_instruction': '', 'chat': chat})
    json_lines(
        tmp_path / 'brainstorming.jsonl',
        {'conversation_id': 1, 'category': 'X', 'conversation': [{'human': 'Why?', 'assistant': 'Because.'}]},
    )
    first, third, second = dialogues('moss', tmp_path)
    assert said(first) == ['Why?', 'Because.']
    assert said(second) == ['你好', '你好！\n很高兴见到你', '再见', '再见']
    assert said(third) == ['Hello there', 'Hi.', 'Bye', 'Goodbye.']
    assert [first.language, second.language, third.language] == ['en', 'zh', 'en']
    assert (second.source, second.source_id, second.licence) == ('MOSS', 'zh_honesty:1', 'CC-BY-NC-4.0')
    assert second.split == split_of('moss:zh_honesty:1')


def test_gammacorpus_is_question_and_answer(tmp_path):
    json_lines(tmp_path / 'gammacorpus-fact-qa-450k.jsonl', {'question': ' Capital of France? ', 'answer': 'Paris'})
    (dialogue,) = dialogues('gammacorpus-fact-qa', tmp_path)
    assert said(dialogue) == ['Capital of France?', 'Paris']
    assert (dialogue.language, dialogue.licence) == ('en', 'Apache-2.0')
    assert dialogue.attribution == 'GammaCorpus Fact QA by R. Roy'


def test_ultrachat_alternates_and_leaves_out_what_ends_with_a_question(tmp_path, caplog):
    json_lines(
        tmp_path / 'train_0.jsonl',
        {'id': '7', 'data': ['How?', 'Like this.', 'And then?', 'Like that.']},
        {'id': '8', 'data': ['How?', 'Like this.', 'And then?']},
    )
    (dialogue,) = dialogues('ultrachat', tmp_path)
    assert said(dialogue) == ['How?', 'Like this.', 'And then?', 'Like that.']
    assert (dialogue.source_id, dialogue.licence) == ('train_0:7', 'MIT')
    assert '1 of 2 records are no dialogue' in caplog.text


def test_magpie_is_read_from_its_conversations(tmp_path):
    turns = [{'from': 'human', 'value': 'Explain tides.'}, {'from': 'gpt', 'value': 'The moon pulls.'}]
    record = {'uuid': 'a-b', 'instruction': 'Explain tides.', 'response': 'The moon pulls.', 'conversations': turns}
    json_lines(tmp_path / 'magpie.jsonl', record)
    (dialogue,) = dialogues('magpie-pro', tmp_path)
    assert said(dialogue) == ['Explain tides.', 'The moon pulls.']
    assert 'Llama 3' in dialogue.licence


def test_magpie_as_parquet_is_refused_by_name(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/train-00000-of-00003.parquet').write_bytes(b'PAR1')
    refuses('magpie-pro', tmp_path, '*.jsonl', 'Parquet files are not read')


def test_dureader_takes_the_first_answer_and_the_publishers_split(tmp_path, caplog):
    record = {'question_id': 186, 'question': '为什么天是蓝的', 'answers': ['散射。', '不知道'], 'documents': []}
    json_lines(tmp_path / 'raw/trainset/search.train.json', record, record | {'question_id': 187, 'answers': []})
    json_lines(tmp_path / 'raw/devset/zhidao.dev.json', record)
    json_lines(tmp_path / 'raw/testset/zhidao.test.json', {'question_id': 1, 'question': '谁', 'documents': []})
    first, second = dialogues('du-qa', tmp_path)
    assert said(first) == ['为什么天是蓝的', '散射。']
    assert [first.split, second.split] == ['validation', 'train']
    assert (second.source_id, second.language) == ('trainset/search.train:186', 'zh')
    assert '2 of 4 records' in caplog.text


def test_coig_cqia_joins_instruction_and_input(tmp_path):
    record = {
        'instruction': '翻译成英文',
        'input': '你好',
        'output': 'Hello',
        'task_type': {'major': ['问答'], 'minor': []},
        'domain': ['通用'],
        'answer_from': 'human',
        'human_verified': True,
        'copyright': '',
    }
    json_lines(tmp_path / 'COIG-CQIA-full.jsonl', record, record | {'input': ''})
    first, second = dialogues('coig-cqia', tmp_path)
    assert said(first) == ['翻译成英文\n你好', 'Hello']
    assert said(second) == ['翻译成英文', 'Hello']
    assert first.language == 'zh'


def test_webquestions_answers_are_taken_out_of_the_list_expression(tmp_path):
    url = 'http://www.freebase.com/view/en/x'
    targets = [
        '(list (description "Jazmyn Bieber") (description Jaxon))',
        '(list (description "The \\"Old\\" (big) Inn"))',
    ]
    for split, target in zip(('train', 'test'), targets, strict=True):
        records = [{'url': url, 'targetValue': target, 'utterance': 'who is it?'}]
        text(tmp_path / f'webquestions.examples.{split}.json', json.dumps(records))
    test, train = dialogues('web-qa', tmp_path)
    assert said(train) == ['who is it?', 'Jazmyn Bieber, Jaxon']
    assert said(test) == ['who is it?', 'The "Old" (big) Inn']
    assert [train.split, test.split] == ['train', 'test']


def test_belle_is_read_with_and_without_history(tmp_path):
    history = 'Human:你好\nAssistant:你好！\n请问？\nHuman:天气如何\nAssistant:\n'
    json_lines(
        tmp_path / 'multiturn_chat_0.8M.json',
        {'instruction': history, 'input': '', 'output': '晴。'},
        {'instruction': '写一首诗', 'input': '', 'output': '春眠不觉晓'},
    )
    turns = [{'from': 'human', 'value': '几点了'}, {'from': 'assistant', 'value': '三点'}]
    json_lines(tmp_path / 'train_3.5M_CN.json', {'id': '1', 'conversations': turns})
    first, second, third = dialogues('belle', tmp_path)
    assert said(first) == ['你好', '你好！\n请问？', '天气如何', '晴。']
    assert said(second) == ['写一首诗', '春眠不觉晓']
    assert said(third) == ['几点了', '三点']
    assert (first.source, first.licence) == ('BELLE', 'GPL-3.0, for research only')


@pytest.mark.parametrize('name', [name for name, source in SOURCES.items() if isinstance(source, TextSource)])
def test_an_absent_a_foreign_and_a_broken_text_corpus_are_one_line_each(name, tmp_path):
    source = find_source(name)
    refuses(name, tmp_path / 'nowhere', f'no {source.title}', 'nowhere', source.layout[0], source.homepage)
    path = tmp_path / source.layout[0].replace('*set', 'trainset').replace('*.json*', 'x.json').replace('*', 'train')
    json_lines(path, {'weather': 'fine'})
    refuses(name, tmp_path, 'record 1 of', path.name, f'not as {source.title} publishes it', 'KeyError')
    text(path, '{"cut short": "')
    refuses(name, tmp_path, path.name, 'not JSON after record 0')
    text(path, '')
    refuses(name, tmp_path, '0 records and none is a dialogue')
