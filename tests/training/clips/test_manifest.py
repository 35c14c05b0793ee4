"""A manifest is there whole or not at all, says all that the source said, and is read a line at a time."""

import weakref

import pytest
from lhotse.utils import fastcopy

from tests.training.sources.miniature import json_lines, sound
from training.clips.manifest import (
    RECORDS_A_PIECE,
    piece_count,
    read_dialogues,
    read_manifest,
    read_piece,
    write_dialogues,
    write_manifest,
)
from training.sources import find_source
from training.sources.base import Facts, SourceError


def dns(root, files=3):
    for number in range(files):
        sound(root / f'datasets/noise/door_Freesound_validated_{number}_0.wav')
    return find_source('dns').prepare(root)


def test_facts_and_sound_survive_the_round_trip(tmp_path):
    cuts = dns(tmp_path)
    path = tmp_path / 'manifests' / 'dns.jsonl.gz'
    write_manifest(cuts, path)
    again = read_manifest(path)
    assert again.is_lazy
    assert list(again) == list(cuts)
    facts = [Facts.of(cut.supervisions[0]) for cut in again]
    assert facts == [Facts.of(cut.supervisions[0]) for cut in cuts]
    assert facts[1].attribution.startswith('https://freesound.org/s/1/')
    assert (facts[1].licence, facts[1].respond) == ('CC0-1.0', False)
    assert next(iter(again)).load_audio().shape == (1, 3_200)


def test_dialogues_survive_the_round_trip(tmp_path):
    json_lines(tmp_path / 'gammacorpus-fact-qa-450k.jsonl', {'question': 'Größe?', 'answer': '"1\n2"'})
    dialogues = list(find_source('gammacorpus-fact-qa').prepare(tmp_path))
    write_dialogues(dialogues, tmp_path / 'out.jsonl.gz')
    assert list(read_dialogues(tmp_path / 'out.jsonl.gz')) == dialogues


def test_equal_cuts_give_equal_bytes_whatever_the_name(tmp_path):
    cuts = dns(tmp_path)
    for name in ('a.jsonl.gz', 'b.jsonl.gz'):
        write_manifest(cuts, tmp_path / name)
    assert (tmp_path / 'a.jsonl.gz').read_bytes() == (tmp_path / 'b.jsonl.gz').read_bytes()


def test_a_writer_that_fails_leaves_the_old_manifest_and_nothing_else(tmp_path):
    cuts = list(dns(tmp_path / 'corpus'))
    path = tmp_path / 'dns.jsonl.gz'
    write_manifest(cuts, path)

    def fails():
        yield cuts[0]
        raise SourceError('the disk was pulled out')

    with pytest.raises(SourceError, match='pulled out'):
        write_manifest(fails(), path)
    assert len(list(read_manifest(path))) == 3
    left = sorted(each.name for each in tmp_path.iterdir() if each.is_file())
    assert left == ['dns.jsonl.gz', 'dns.pieces.json']


def test_pieces_are_read_by_themselves_and_together_are_the_manifest(tmp_path):
    (only,) = dns(tmp_path, files=1)
    path = tmp_path / 'many.jsonl.gz'
    write_manifest((fastcopy(only, id=str(number)) for number in range(2 * RECORDS_A_PIECE + 5)), path)
    assert piece_count(path) == 3
    pieces = [read_piece(path, number) for number in range(3)]
    assert [len(piece) for piece in pieces] == [RECORDS_A_PIECE, RECORDS_A_PIECE, 5]
    assert [cut for piece in pieces for cut in piece] == list(read_manifest(path))


def test_a_missing_manifest_is_one_sentence(tmp_path):
    for read in (read_manifest, read_dialogues, piece_count):
        with pytest.raises(SourceError, match=r"no manifest at '.*x\.jsonl\.gz'; prepare the corpus first"):
            read(tmp_path / 'x.jsonl.gz')


def test_one_cut_at_a_time_is_in_memory(tmp_path):
    (only,) = dns(tmp_path, files=1)
    seen = []

    def counted(cuts):
        for cut in cuts:
            seen.append(weakref.ref(cut))
            assert sum(each() is not None for each in seen) <= 3
            yield cut

    path = tmp_path / 'many.jsonl.gz'
    write_manifest(counted(fastcopy(only, id=str(number)) for number in range(50)), path)
    assert sum(1 for _ in counted(read_manifest(path))) == 50
