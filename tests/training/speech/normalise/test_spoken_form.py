"""What a reader says for what is written, in tables and in laws."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from training.speech.normalise.rules import CHANGES, Change
from training.speech.normalise.spoken_form import Language, LlmRewriter, SpokenForm, normalise_for_wer, rewrite
from training.speech.ordinary import ORDINARY_SENTENCES

ENGLISH = [
    # numbers
    ('It takes 100 steps.', 'It takes one hundred steps.'),
    ('Pi is 3.14', 'Pi is three point one four'),
    ('1,234.50 and 007', 'one thousand two hundred and thirty-four point five zero and zero zero seven'),
    ('-5 or 5-10', 'minus five or five to ten'),
    ('the 2nd and the 21st', 'the second and the twenty-first'),
    ('1/2, 3/4, 1 1/2 and 2½', 'one half, three quarters, one and a half and two and a half'),
    ('in 2025, 1905 and the 1990s', 'in twenty twenty-five, nineteen oh-five and the nineteen nineties'),
    ('from 1914-1918', 'from nineteen fourteen to nineteen eighteen'),
    ('9:00, 9:05 and 14:30', "nine o'clock, nine oh five and fourteen thirty"),
    ('at 7:30 p.m. or 5 am', 'at seven thirty p m or five a m'),
    ('1920x1080 on MP3', 'one thousand nine hundred and twenty by one thousand and eighty on MP three'),
    ('3-2 and 16:9', 'three to two and sixteen to nine'),
    ('Python 3.10.2 at 10.0.0.1', 'Python three dot ten dot two at one zero dot zero dot zero dot one'),
    # units and money
    ('120 km/h for 1 km', 'one hundred and twenty kilometers per hour for one kilometer'),
    ('-3.5°C and 72 °F', 'minus three point five degrees Celsius and seventy-two degrees Fahrenheit'),
    ('2 kg, 16GB, 5 m² and 50%', 'two kilograms, sixteen gigabytes, five square meters and fifty percent'),
    ('a 5-km run and 60-70%', 'a five kilometer run and sixty to seventy percent'),
    ('$5.99, $1, €20 and £0.50', 'five dollars and ninety-nine cents, one dollar, twenty euros and fifty pence'),
    ('$3.5 million, US$10 or 5 EUR', 'three point five million dollars, ten US dollars or five euros'),
    # dates
    ('2025-03-14', 'March fourteenth, twenty twenty-five'),
    ('3/14/2025 is 14/3/2025', 'March fourteenth, twenty twenty-five is March fourteenth, twenty twenty-five'),
    ('May 5, 2024 or 5 May 2024', 'May fifth, twenty twenty-four or May fifth, twenty twenty-four'),
    ('Jan. 3rd', 'January third'),
    # telephone numbers
    ('Call 555-0123.', 'Call five five five, zero one two three.'),
    ('+1 (555) 123-4567', 'plus one, five five five, one two three, four five six seven'),
    # abbreviations
    ('Dr. Wu met Mrs. Day.', 'Doctor Wu met Missus Day.'),
    ('Tools, e.g. saws, etc.', 'Tools, for example, saws, and so on.'),
    ('Acme Inc. vs. Bolt Ltd. today', 'Acme Incorporated versus Bolt Limited today'),
    ('He left, i.e. went to St. Ives.', 'He left, that is, went to Saint Ives.'),
    ('It is on Main St. We walk.', 'It is on Main Street. We walk.'),
    ('No. 5 in the U.S.', 'number five in the U S.'),
    # symbols
    ('Q&A: 3 + 4 = 7 @ home', 'Q and A: three plus four equals seven at home'),
    ('#1 in C#', 'number one in C sharp'),
    ('x <= 5 -> stop', 'x less than or equal to five to stop'),
    # for the eye only
    ('# Plan\n\n- **buy** milk\n- [call](http://a.bc/d_(e)) `Bob`', 'Plan. buy milk. call Bob.'),
    ('| a | b |\n|---|---|\n| 1 | 2 |', 'a, b. one, two.'),
    ('See https://example.com/a?b=1 and /usr/share/doc.', 'See and.'),
    ('I love #GreenTea 😀 #tea #morning', 'I love Green Tea'),
    ('Try:\n```py\nx = 1\n```', 'Try: x equals one'),
    ('Try:\n```\na\nb\nc\nd\n```\nDone.', 'Try: I will skip the code here. Done.'),
    ('Write to jo.b@example.org', 'Write to jo dot b at example dot org'),
    ('“Well…” — he’s late', '"Well...", he\'s late'),
]
CHINESE = [
    ('我有2个苹果和100块。', '我有两个苹果和一百块。'),
    ('圆周率是3.14，-5也行', '圆周率是三点一四，负五也行'),
    ('5-10个，第3名，3/4的人', '五到十个，第三名，四分之三的人'),
    ('2024年5月1日14:30', '二零二四年五月一日十四点三十分'),
    ('2024-05-01 9:05', '二零二四年五月一日九点零五分'),
    ('1939-1945，90年代', '一九三九到一九四五，九十年代'),
    ('温度-5°C，湿度50%，5km/h', '温度零下五摄氏度，湿度百分之五十，五公里每小时'),
    ('2公斤、16GB、100m²', '两公斤、十六吉字节、一百平方米'),
    ('¥50、$3.5万、20 EUR', '五十元、三点五万美元、二十欧元'),
    ('电话13800138000', '电话一三八零零一三八零零零'),
    ('拨打110，010-12345678', '拨打一一零，零一零，一二三四五六七八'),
    ('A&B，3+4=7，3:2', 'A和B，三加四等于七，三比二'),
    ('e.g. 猫vs.狗 etc.', '例如猫对狗等等'),
    ('**重点**：看https://a.cn/b，😀', '重点：看，'),
    ('# 标题\n- 一个\n- 两个', '标题。一个。两个。'),
    ('#话题# １２３', '话题一百二十三'),
    ('看：\n```\na\nb\nc\nd\n```', '看：这段代码就不念了。'),
]
TAGS: list[tuple[str, tuple[Change, ...]]] = [
    ('a **b**', ('markdown_strip',)),
    ('5', ('numeral_expand',)),
    ('Dr. Who', ('abbrev_expand',)),
    ('salt & pepper', ('symbol_replace',)),
    ('so — what', ('punctuation_normalize',)),
    ('```\n1\n2\n3\n4\n```', ('code_block_drop',)),
    ('# Dr. A & 5', ('markdown_strip', 'numeral_expand', 'abbrev_expand', 'symbol_replace')),
]


@pytest.mark.parametrize(('written', 'spoken'), ENGLISH)
def test_english_is_written_out(written: str, spoken: str) -> None:
    assert rewrite(written, 'en').text == spoken


@pytest.mark.parametrize(('written', 'spoken'), CHINESE)
def test_chinese_is_written_out(written: str, spoken: str) -> None:
    assert rewrite(written, 'zh').text == spoken


@pytest.mark.parametrize(('written', 'tags'), TAGS)
def test_the_kinds_of_changes_are_told_in_order(written: str, tags: tuple[Change, ...]) -> None:
    assert rewrite(written, 'en').changes == tags


def test_what_can_be_spoken_passes_unchanged() -> None:
    sentences = [(code, text) for code, text in ORDINARY_SENTENCES if code in ('en', 'cmn')]
    sentences += [('en', 'A well-known "quote" (with brackets); isn\'t it?'), ('cmn', '“你好”——他说……（真的）《书》。')]
    for code, text in sentences:
        assert rewrite(text, 'en' if code == 'en' else 'zh') == SpokenForm(text=text)


def test_three_lines_of_code_are_read_and_four_are_not() -> None:
    for lines, dropped in ((3, False), (4, True)):
        said = rewrite('```\n' + 'go\n' * lines + '```', 'en')
        assert ('code_block_drop' in said.changes) is dropped
        assert ('go' in said.text.split()) is not dropped


_CHARACTERS = ' .,-/:#*_`$%&@+=<>()[]{}|~^\\\'"!?;\n\t0123456789年点两万，。xAk£½²２—…’😀\u200d\x00\ud800'
_WORDS = (
    'the May 2024 e.g. Dr. etc. St. a.m. No. km °C kg st 1/2 .com &amp; http://a.b ``` /usr/bin # - | US$ ** [a](b)'
)
_PIECES = st.sampled_from([*_CHARACTERS, *_WORDS.split(), '\n- ', '\n# '])
_TEXTS = st.lists(_PIECES, max_size=14).map(''.join) | st.text(max_size=40)


@settings(max_examples=250, deadline=None)
@given(_TEXTS, st.sampled_from(get_args(Language)))
def test_any_text_becomes_one_clean_line_that_needs_no_further_change(text: str, language: Language) -> None:
    said = rewrite(text, language)
    assert bool(said.changes) == (said.text != text)
    assert rewrite(said.text, language) == SpokenForm(text=said.text)
    assert not any(character.isdigit() or character in '\n\t*_`#$%&@+=<>|~^\\{}[]😀\x00' for character in said.text)
    assert normalise_for_wer(said.text, language) == normalise_for_wer(text, language)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_every_number_comes_back_from_its_words(number: int) -> None:
    assert normalise_for_wer(f'{number:,}', 'en') == str(number)


@pytest.mark.parametrize(
    'same',
    [
        ('in 2024', 'In twenty twenty-four,', 'in two thousand and twenty four'),
        ('5 million', 'five million', '5,000,000'),
        ('call 555-0123', 'call five five five oh one two three', 'Call 5550123'),
        ("It's 25%!", "it's 25 percent", 'it’s twenty-five per cent'),
        ('Dr. Wu is OK', 'doctor wu is okay'),
    ],
)
def test_ways_to_write_the_same_words_are_compared_as_equal(same: tuple[str, ...]) -> None:
    assert len({normalise_for_wer(text, 'en') for text in same}) == 1


def test_other_numbers_stay_different() -> None:
    assert normalise_for_wer('one hundred and five', 'en') != normalise_for_wer('one hundred and fifty', 'en')
    assert normalise_for_wer('one or two', 'en') == '1 or 2'


def test_chinese_is_compared_by_character() -> None:
    assert normalise_for_wer('我有2个iPad。', 'zh') == normalise_for_wer('我有二个 IPAD', 'zh') == '我 有 二 个 ipad'


class _Scripted:
    """Answers like a model behind LlmClient: JSON, validated."""

    def __init__(self, answer: str) -> None:
        self.answer, self.prompts = answer, list[str]()

    def ask(self, prompt: str, answer: type[BaseModel]) -> BaseModel:
        self.prompts.append(prompt)
        return answer.model_validate_json(self.answer)


def test_a_language_model_is_shown_the_text_and_the_rules_finish_its_work() -> None:
    model = _Scripted('{"rewritten": "Doctor Lee has 3 cats", "changes": ["abbrev_expand"]}')
    said = LlmRewriter(model)('Dr. Lee has {3} cats {language}', 'en')  # type: ignore[arg-type]
    assert said == SpokenForm(text='Doctor Lee has three cats', changes=('numeral_expand', 'abbrev_expand'))
    assert 'Dr. Lee has {3} cats {language}' in model.prompts[0] and 'English' in model.prompts[0]
    assert all(tag in model.prompts[0] for tag in CHANGES)


def test_a_language_model_that_changes_nothing_leaves_no_changes() -> None:
    model = _Scripted('{"rewritten": "All is well.", "changes": ["markdown_strip"]}')
    assert LlmRewriter(model)('All is well.', 'en') == SpokenForm(text='All is well.')  # type: ignore[arg-type]


def test_a_language_model_may_not_invent_tags() -> None:
    model = _Scripted('{"rewritten": "All is well.", "changes": ["made_it_better"]}')
    with pytest.raises(ValidationError):
        LlmRewriter(model)('All is well.', 'en')  # type: ignore[arg-type]
