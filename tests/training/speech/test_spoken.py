"""The speech step: sentences checked, retried or discarded, every decision beside the sound, whole streams left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.training.chat_server import Say, chat_server
from training.clips.store import ClipStore
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.corpus.report import write_report
from training.corpus.verify import verify
from training.llm import LlmClient, LlmSettings
from training.speech.rewriting import rewrite_by_model
from training.speech.spoken import (
    DECISIONS,
    SPEECH,
    Sentence,
    SpeechSettings,
    UnderstoodByVoice,
    count_decisions,
    make_speech,
    read_decisions,
    speech_parts,
    understood_by_voice,
)
from training.streams import read_streams

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='needs espeak-ng')
SENTENCES = [
    Sentence('The bakery opens at 7:30.', 'en', 'en-us+m1', 'train'),
    Sentence('Go lift.', 'en', 'en-us+m1', 'train'),
    Sentence('Go left.', 'en', 'es+m1', 'train'),  # in a Spaniard's mouth it is 'lift'
    Sentence('你好。', 'zh', 'cmn+m5', 'validation'),
]
CHECKED = SpeechSettings(check='pocketsphinx')


def test_the_defaults_are_espeak_without_a_check():
    assert (SpeechSettings().engine, SpeechSettings().check) == ('espeak', 'none')
    with pytest.raises(ValidationError, match='needs piper_voices'):
        SpeechSettings(engine='piper')
    with pytest.raises(ValidationError, match='needs cosyvoice_url'):
        SpeechSettings(engine='cosyvoice')


def test_what_is_understood_is_in_the_library_and_what_is_not_is_in_the_decisions(tmp_path: Path):
    (part,) = speech_parts([*SENTENCES, SENTENCES[0]], CHECKED, 3, tmp_path)
    assert make_speech(part) == 3 and make_speech(part) == 0
    library = ClipStore(tmp_path / SPEECH)
    decisions = dict(read_decisions(tmp_path))
    assert set(decisions) == {sentence.id for sentence in SENTENCES}
    verdicts = [decisions[sentence.id].verdict for sentence in SENTENCES]
    assert verdicts == ['kept', 'kept', 'discarded', 'unchecked']
    clip = library[SENTENCES[0].id]
    assert clip.caption == 'The bakery opens at 7:30.' and [word for word, _, _ in clip.words] == clip.caption.split()
    assert decisions[clip.id].rewritten == 'The bakery opens at seven thirty.'
    assert decisions[clip.id].words_by == 'engine'
    assert SENTENCES[2].id not in library
    assert 'was not understood in 3 renderings' in decisions[SENTENCES[2].id].reason
    counts = count_decisions(tmp_path)
    assert counts['discarded'] == counts['unchecked'] == 1 and counts['kept'] == 2 and counts['tried again'] >= 1
    worst, best = understood_by_voice(tmp_path).items()  # and none of what nobody could judge
    assert worst == ('es+m1', UnderstoodByVoice(sentences=1, failed_at_first=1.0, failed=1.0))
    assert best[0] == 'en-us+m1' and (best[1].sentences, best[1].failed) == (2, 0.0)


def test_the_same_part_is_the_same_bytes_and_another_seed_another_rate(tmp_path: Path):
    for name, seed in (('a', 3), ('b', 3), ('c', 4)):
        for part in speech_parts(SENTENCES[:2], SpeechSettings(), seed, tmp_path / name):
            make_speech(part)
    a, b, c = (
        [path.read_bytes() for folder in (SPEECH, DECISIONS) for path in sorted((tmp_path / name / folder).iterdir())]
        for name in 'abc'
    )
    assert a == b and a != c


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_stream_of_which_a_sentence_was_discarded_is_left_out_with_the_reason(
    small_library: Callable[[Path], Path], tmp_path: Path
):
    recipe = CorpusRecipe(renders=10, speech=CHECKED, shares={'voice chatting': 4.0})
    summary = build(recipe, {}, 0.1, 5, 1, small_library(tmp_path))
    decisions = dict(read_decisions(tmp_path))
    discarded = {decision.reason for decision in decisions.values() if decision.verdict == 'discarded'}
    assert discarded and summary['speech'] == count_decisions(tmp_path)
    kept = json.loads((tmp_path / 'index.json').read_text())
    assert max(row['failed'] for row in kept['speech_by_voice'].values()) > 0
    write_report(tmp_path, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    assert 'Voices, as the recogniser followed them' in page and next(iter(kept['speech_by_voice'])) in page
    failures = [json.loads(row) for path in (tmp_path / 'failures').iterdir() for row in path.read_text().splitlines()]
    assert failures and {failure['reason'] for failure in failures} <= discarded
    assert len(failures) == summary['failed']
    heard = {event.clip for stream, _ in read_streams(tmp_path, audio=False) for event in stream.events}
    assert not heard & {id_ for id_, decision in decisions.items() if decision.verdict == 'discarded'}
    assert verify(tmp_path).as_dict()['wrong'] == {}


def test_what_the_chat_model_rewrote_is_what_is_said_and_the_written_words_keep_their_times(tmp_path: Path):
    written = Sentence('Ask Dr. Lee & Co.', 'en', 'en-us+m1', 'train')

    def answer(_: int, request: dict) -> Say:
        assert 'Ask Dr. Lee & Co.' in request['messages'][1]['content']
        return Say(json.dumps({'rewritten': 'Ask Doctor Lee and Company.', 'changes': ['abbrev_expand']}))

    settings = {'model': 'local', 'cache': tmp_path / 'answers', 'requests_per_minute': 60_000}
    with chat_server(answer) as server:
        client = LlmClient(LlmSettings(base_url=server.url, **settings))  # type: ignore[arg-type]
        forms = rewrite_by_model([(written.text, 'en')] * 2, client, 2)
        assert len(server.requests) == 1
    (part,) = speech_parts([written, SENTENCES[1]], SpeechSettings(rewriter='llm'), 3, tmp_path, forms)
    assert make_speech(part) == 2
    decisions = dict(read_decisions(tmp_path))
    assert decisions[written.id].rewritten == 'Ask Doctor Lee and Company.'
    assert decisions[SENTENCES[1].id].rewritten == 'Go lift.'  # the model was not asked about it: the rules were
    clip = ClipStore(tmp_path / SPEECH)[written.id]
    assert [word for word, _, _ in clip.words] == written.text.split()
