"""The whole command over a small corpus: its JSON, its page, and one sentence where it cannot go on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.training.stages import micro
from training.__main__ import main

ABSENT = ['streaming translation', 'streaming audio understanding', 'following music', 'audio agent']


def test_the_command_writes_a_page_and_numbers_and_prints_its_json_last(checkpoint, corpus, tmp_path, capsys):
    out = tmp_path / 'found'
    assert main(['inspect', '--checkpoint', str(checkpoint), '--corpus', str(corpus), '--out', str(out)]) == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out.splitlines()[-1])
    assert re.search(r'has no stream of streaming translation, .*audio agent on the test side', printed.err)
    assert summary['streams'] == {'all': 8, 'real-time ASR': 3, 'voice chatting': 3, 'proactive respond': 2}
    assert summary['without'] == ABSENT
    assert list(summary['continuity_ratio'])[-3:] == ['projector', 'layer 0', 'layer 1']
    assert sorted(path.name for path in out.iterdir()) == ['inspection.html', 'inspection.json']

    numbers = json.loads((out / 'inspection.json').read_text())
    found = numbers['heads']['by_category']
    assert list(found) == list(summary['streams'])
    for name in found:
        drop = np.array(found[name]['token_match_drop']['all'])
        assert drop.shape == (2, 2)
        strongest = found[name]['strongest_by_token_match']
        assert [s['drop_all'] for s in strongest] == sorted(drop[drop > 0].tolist(), reverse=True)
        assert summary['strongest_head'][name] == (strongest[0] if strongest else None)
    drains = [micro.stream(n, n % 2 == 0)[0].drains for n in range(40) if n % 5 == 4]
    assert found['all']['drains'] == {
        'silent': sum(d.reply is None for row in drains for d in row),
        'response': sum(d.reply is not None for row in drains for d in row),
    }
    page = (out / 'inspection.html').read_text()
    assert 'none of streaming translation' in page and 'src=' not in page and 'http-equiv' not in page
    assert page.count('<svg') == 2 + 3 * 4 and page.count('Heat map, ') == 3 * 4  # two curves; three maps a group


def test_of_each_category_as_many_streams_as_asked_for(checkpoint, corpus, tmp_path, capsys):
    asked = ['inspect', '--checkpoint', str(checkpoint), '--corpus', str(corpus), '--out', str(tmp_path / 'found')]
    assert main([*asked, '--split', 'train', '--streams', '2']) == 0
    first = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(first)['streams'] == {'all': 6, 'real-time ASR': 2, 'voice chatting': 2, 'proactive respond': 2}
    assert main([*asked, '--split', 'train', '--streams', '2']) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        (['--split', 'test'], r'has 3 streams, but none on the test side .*; build more hours'),
        (['--streams', '0'], r'--streams is 0; at least one'),
        (['--device', 'abacus'], r"--device 'abacus' cannot be used .*; give cpu"),
        (['--checkpoint', 'nowhere'], r"checkpoint 'nowhere' is neither"),
        (['--corpus', 'nowhere'], r"no shards under 'nowhere/shar'"),
        (['--out', 'taken/here'], r"'taken/here' cannot be made .*; give another --out"),
    ],
)
def test_what_cannot_be_inspected_is_one_sentence(arguments, problem, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path('taken').touch()
    three = micro.write_corpus(tmp_path / 'three', streams=3, shards=1)
    asked = ['inspect', '--checkpoint', str(checkpoint), '--corpus', str(three), *arguments]
    assert main(asked) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith('python -m training: ') and re.search(problem, said)
