"""Each speech corpus, in miniature and as published, comes out with its words, sides and credits."""

import json

import numpy as np

from tests.training.sources.miniature import clips, refuses, sound, text
from training.sources.base import read_cut


def librispeech(root):
    for part, speaker in (('train-clean-100', '103'), ('dev-other', '116'), ('test-clean', '121')):
        chapter = root / 'LibriSpeech' / part / speaker / '77'
        for number in range(2):
            sound(chapter / f'{speaker}-77-000{number}.flac')
        text(chapter / f'{speaker}-77.trans.txt', f'{speaker}-77-0000 CHAPTER ONE', f'{speaker}-77-0001 A CAPITAL CITY')
    return root


def test_librispeech_keeps_words_speakers_and_parts(tmp_path):
    found = clips('librispeech', librispeech(tmp_path))
    assert list(found) == [f'{speaker}-77-000{n}' for speaker in ('116', '121', '103') for n in range(2)]
    cut, supervision, facts = found['116-77-0001']
    assert cut.id == 'librispeech:116-77-0001'
    assert (cut.duration, cut.sampling_rate) == (0.2, 16_000)
    assert (supervision.text, supervision.speaker, supervision.language) == ('A CAPITAL CITY', '116', 'en')
    assert (facts.category, facts.caption, facts.respond) == ('speech', '', None)
    assert (facts.source, facts.recording, facts.split) == ('LibriSpeech', 'librispeech:116', 'validation')
    assert (facts.licence, facts.language) == ('CC-BY-4.0', 'en')
    assert 'Panayotov' in facts.attribution
    assert [found[f'{s}-77-0000'][2].split for s in ('103', '121')] == ['train', 'test']


def test_librispeech_is_found_with_and_without_the_folder_of_its_archive(tmp_path):
    librispeech(tmp_path)
    assert clips('librispeech', tmp_path).keys() == clips('librispeech', tmp_path / 'LibriSpeech').keys()


def test_librispeech_without_its_sound_or_with_a_line_cut_short_is_refused(tmp_path):
    refuses('librispeech', tmp_path, 'no LibriSpeech', str(tmp_path), '*.trans.txt', 'openslr.org/12')
    librispeech(tmp_path)
    transcript = tmp_path / 'LibriSpeech/test-clean/121/77/121-77.trans.txt'
    text(transcript, '121-77-0000')
    refuses('librispeech', tmp_path, 'not as published', 'after clip 116-77-0001')
    for path in tmp_path.rglob('*.flac'):
        path.unlink()
    refuses('librispeech', tmp_path, 'no LibriSpeech', '*.flac')


def gigaspeech(root):
    def entry(aid, subsets, path, *segments):
        keys = ('sid', 'begin_time', 'end_time', 'text_tn')
        return {
            'aid': aid,
            'path': path,
            'duration': 2.0,
            'sample_rate': 16_000,
            'channels': 1,
            'subsets': subsets,
            'segments': [dict(zip(keys, segment, strict=True)) | {'speaker': 'N/A'} for segment in segments],
        }

    audios = [
        entry(
            'POD0000000001',
            ['{XL}', '{L}'],
            'audio/podcast/P0000/POD0000000001.opus',
            ('POD0000000001_S0000000', 0.5, 1.25, "DOUGLAS <COMMA> IT'S FINE <PERIOD>"),
            ('POD0000000001_S0000001', 1.25, 1.5, '<MUSIC>'),
            ('POD0000000001_S0000002', 1.5, 2.0, 'IS IT <QUESTIONMARK>'),
        ),
        entry('YOU0000000009', ['{TEST}'], 'audio/youtube/P0000/YOU0000000009.opus', ('YOU9_S1', 0.0, 1.0, 'YES')),
        entry('YOU0000000008', ['{DEV}'], 'audio/youtube/P0000/YOU0000000008.opus', ('YOU8_S1', 0.0, 1.0, 'NO')),
    ]
    for audio in audios:
        sound(root / audio['path'], seconds=2.0)
    text(root / 'GigaSpeech.json', json.dumps({'dataset': 'GigaSpeech', 'language': 'EN', 'audios': audios}, indent=1))
    return root


def test_gigaspeech_utterances_are_cut_out_of_their_recording(tmp_path):
    found = clips('gigaspeech', gigaspeech(tmp_path))
    assert list(found) == ['POD0000000001_S0000000', 'POD0000000001_S0000002', 'YOU9_S1', 'YOU8_S1']
    cut, supervision, facts = found['POD0000000001_S0000000']
    assert (cut.start, cut.duration) == (0.5, 0.75)
    assert cut.load_audio().shape == (1, 12_000)
    assert supervision.text == "DOUGLAS, IT'S FINE."
    assert found['POD0000000001_S0000002'][1].text == 'IS IT?'
    assert (facts.recording, facts.language) == ('gigaspeech:POD0000000001', 'en')
    assert [facts.split for _, _, facts in found.values()] == ['train', 'train', 'test', 'validation']


def test_gigaspeech_that_is_half_there_is_refused(tmp_path):
    gigaspeech(tmp_path)
    whole = (tmp_path / 'GigaSpeech.json').read_text()
    text(tmp_path / 'GigaSpeech.json', whole[: len(whole) // 2])
    refuses('gigaspeech', tmp_path, 'GigaSpeech.json', 'not JSON after record')
    text(tmp_path / 'GigaSpeech.json', '{"dataset": "Other"}')
    refuses('gigaspeech', tmp_path, "no list 'audios'")
    text(tmp_path / 'GigaSpeech.json', '{"audios": [{"aid": "X"}]}')
    refuses('gigaspeech', tmp_path, 'not as published', 'sample_rate')


def voxpopuli(root):
    folder = root / 'transcribed_data' / 'en'
    header = '\t'.join(['id', 'raw_text', 'normalized_text', 'speaker_id', 'split', 'gender'])
    rows = {
        'train': ('20130114-0900-PLENARY-1-en_20130114-17:24:25_1', 'Mr "President', 'mr president', '1122'),
        'dev': ('20150909-0900-PLENARY-2-en_20150909-09:01:00_0', 'Thanks.', 'thanks', 'None'),
        'test': ('20170301-0900-PLENARY-3-en_20170301-10:00:00_3', 'No.', 'no', '7'),
    }
    for split, row in rows.items():
        sound(folder / row[0][:4] / f'{row[0]}.ogg')
        text(folder / f'asr_{split}.tsv', header, '\t'.join([*row, split, 'female']))
    return root


def test_voxpopuli_is_split_by_speaker_as_published(tmp_path):
    found = {key.split('-')[0]: value for key, value in clips('voxpopuli', voxpopuli(tmp_path)).items()}
    cut, supervision, facts = found['20130114']
    assert cut.duration == 0.2
    assert (supervision.text, supervision.speaker) == ('mr president', '1122')
    assert (facts.recording, facts.split, facts.language) == ('voxpopuli:1122', 'train', 'en')
    assert (facts.licence, 'European Parliament' in facts.attribution) == ('CC0-1.0', True)
    _, supervision, facts = found['20150909']
    assert supervision.speaker is None
    assert (facts.recording, facts.split) == ('voxpopuli:20150909-0900-PLENARY-2', 'validation')
    assert found['20170301'][2].split == 'test'


def test_voxpopuli_sessions_that_are_not_cut_yet_are_refused(tmp_path):
    sound(tmp_path / 'raw_audios/original/2013/20130114-0900-PLENARY-1_original.ogg')
    refuses('voxpopuli', tmp_path, 'transcribed_data/*/asr_*.tsv')
    voxpopuli(tmp_path)
    text(tmp_path / 'transcribed_data/en/asr_dev.tsv', 'id\ttext', 'a\tb')
    refuses('voxpopuli', tmp_path, 'asr_dev.tsv', 'lacks the columns', 'normalized_text')


def aishell(root):
    lines = []
    for part, speaker in (('train', 'S0002'), ('dev', 'S0724'), ('test', 'S0764')):
        name = f'BAC009{speaker}W0122'
        sound(root / 'data_aishell/wav' / part / speaker / f'{name}.wav')
        lines.append(f'{name} 而 对 楼市 成交')
    text(root / 'data_aishell/transcript/aishell_transcript_v0.8.txt', *lines)
    return root


def test_aishell_is_mandarin_without_the_spaces_between_words(tmp_path):
    found = clips('aishell', aishell(tmp_path))
    _, supervision, facts = found['BAC009S0724W0122']
    assert (supervision.text, supervision.speaker, supervision.language) == ('而对楼市成交', 'S0724', 'zh')
    assert (facts.recording, facts.split, facts.licence) == ('aishell:S0724', 'validation', 'Apache-2.0')
    assert sorted(facts.split for _, _, facts in found.values()) == ['test', 'train', 'validation']


def test_aishell_whose_speakers_are_still_archives_is_refused(tmp_path):
    text(tmp_path / 'data_aishell/transcript/aishell_transcript_v0.8.txt', 'BAC009S0002W0122 而')
    text(tmp_path / 'data_aishell/wav/S0002.tar.gz', '')
    refuses('aishell', tmp_path, 'data_aishell/wav/*/*/*.wav', 'openslr.org/33')


def commonvoice(root):
    header = ['client_id', 'path', 'sentence', 'up_votes', 'down_votes', 'age', 'gender', 'accent']
    for locale, sentence in (('en', 'He said "no.'), ('zh-CN', '你好吗')):
        for part in ('train', 'dev', 'test'):
            name = f'common_voice_{locale}_{part}.mp3'
            sound(root / locale / 'clips' / name, rate_hz=48_000)
            row = [f'client-{part}', name, sentence, '2', '0', '', '', '']
            text(root / locale / f'{part}.tsv', '\t'.join(header), '\t'.join(row))
    return root


def test_commonvoice_has_every_locale_and_reads_at_16_khz(tmp_path):
    found = clips('commonvoice', commonvoice(tmp_path))
    assert len(found) == 6
    cut, supervision, facts = found['common_voice_en_dev']
    assert cut.sampling_rate == 48_000
    samples = read_cut(cut).samples
    assert samples.dtype == np.float32 and samples.shape == (3_200,)
    assert (supervision.text, supervision.speaker) == ('He said "no.', 'client-dev')
    assert (facts.recording, facts.split, facts.language) == ('commonvoice:client-dev', 'validation', 'en')
    assert found['common_voice_zh-CN_test'][2].language == 'zh'
    assert found['common_voice_zh-CN_test'][2].split == 'test'


def test_commonvoice_counts_the_clips_that_are_not_there(tmp_path, caplog):
    commonvoice(tmp_path)
    (tmp_path / 'en/clips/common_voice_en_dev.mp3').unlink()
    text(tmp_path / 'en/clips/common_voice_en_test.mp3', 'this is no sound')
    assert len(clips('commonvoice', tmp_path)) == 4
    (record,) = caplog.records
    assert 'of 6 files listed, 1 are not there and 1 cannot be read, such as common_voice_en_test' in record.message
    for path in tmp_path.rglob('*.mp3'):
        path.rename(path.with_suffix('.bak'))
    refuses('commonvoice', tmp_path, 'lists 6 files, of which 6 are not there')


def covost(root, source, target, sentence, translation):
    rows = [('train', 'a'), ('train_covost', 'b'), ('dev', 'c'), ('test', 'd'), ('dev_covost', 'e')]
    for _, name in rows:
        sound(root / source / 'clips' / f'{name}.mp3', rate_hz=48_000)
    validated = ['\t'.join(['client_id', 'path', 'sentence', 'up_votes'])]
    validated += ['\t'.join([f'client-{name}', f'{name}.mp3', sentence, '2']) for _, name in [*rows, ('', 'unused')]]
    text(root / source / 'validated.tsv', *validated)
    table = ['\t'.join(['path', 'translation', 'split'])]
    table += ['\t'.join([f'{name}.mp3', translation, split]) for split, name in rows]
    text(root / source / f'covost_v2.{source}_{target}.tsv', *table)
    return root


def test_covost_joins_speech_and_translation_in_both_directions(tmp_path):
    covost(tmp_path, 'en', 'zh-CN', 'Good "morning.', '早上好。')
    covost(tmp_path, 'zh-CN', 'en', '早上好。', 'Good morning.')
    found = clips('covost2-en-zh', tmp_path)
    assert {key: facts.split for key, (_, _, facts) in found.items()} == {
        'a': 'train',
        'b': 'train',
        'c': 'validation',
        'd': 'test',
    }
    cut, supervision, facts = found['b']
    assert cut.id == 'covost2-en-zh:b'
    assert (supervision.text, supervision.language) == ('Good "morning.', 'en')
    assert (supervision.translation, supervision.translation_language) == ('早上好。', 'zh')
    assert facts.recording == 'commonvoice:client-b'  # the same speaker as in Common Voice
    assert 'CoVoST 2' in facts.attribution
    _, supervision, _ = clips('covost2-zh-en', tmp_path)['a']
    assert (supervision.text, supervision.language) == ('早上好。', 'zh')
    assert (supervision.translation, supervision.translation_language) == ('Good morning.', 'en')


def test_covost_without_commonvoice_is_refused(tmp_path):
    covost(tmp_path, 'en', 'zh-CN', 'Yes.', '是。')
    refuses('covost2-zh-en', tmp_path, 'zh-CN/covost_v2.zh-CN_en.tsv', 'facebookresearch/covost')
    (tmp_path / 'en/validated.tsv').unlink()
    refuses('covost2-en-zh', tmp_path, 'nothing there matches en/validated.tsv')
