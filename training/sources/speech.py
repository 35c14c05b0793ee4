"""This module reads the speech corpora of paper Table 9, for recognition and translation."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lhotse import Recording, SupervisionSegment
from lhotse.recipes.aishell import prepare_aishell
from lhotse.recipes.gigaspeech import parse_utterance as parse_gigaspeech
from lhotse.recipes.librispeech import parse_utterance as parse_librispeech

from training.sources.base import PUBLISHED_SPLITS, ClipSource, Item, read_json, read_table
from training.splits import Split

NOT_SPEECH = frozenset({'<SIL>', '<MUSIC>', '<NOISE>', '<OTHER>'})  # whole GigaSpeech utterances that are no words
PUNCTUATION = {' <COMMA>': ',', ' <PERIOD>': '.', ' <QUESTIONMARK>': '?', ' <EXCLAMATIONPOINT>': '!'}
UNQUOTED: dict[str, Any] = {'delimiter': '\t', 'quoting': csv.QUOTE_NONE}


def language_of(locale: str) -> str:
    """Return the language of CommonVoice's locale: 'zh' for Mandarin as written on the mainland, else the locale."""
    return 'zh' if locale == 'zh-CN' else locale


def _utterance(audio: Recording, segment: SupervisionSegment, **more: Any) -> Item:
    """Return the item of a recording and a supervision that one of lhotse's recipes has read."""
    return Item(
        audio=audio,
        source_id=segment.id,
        category='speech',
        text=segment.text,
        speaker=segment.speaker,
        **more,
    )


def read_librispeech(folder: Path) -> Iterator[Item]:
    """Yield LibriSpeech: <part>/<speaker>/<chapter>/*.flac beside <speaker>-<chapter>.trans.txt.

    The publisher's parts, from which the split is taken, share no speaker.
    """
    for transcript in sorted(folder.glob('*-*/*/*/*.trans.txt')):
        part = folder / transcript.relative_to(folder).parts[0]
        split = PUBLISHED_SPLITS[part.name.split('-')[0]]
        for line in transcript.read_text(encoding='utf-8').splitlines():
            pair = parse_librispeech(part, line, {})
            if pair is not None:  # else the recipe has logged which file is not there
                speaker = pair[1].speaker
                yield _utterance(*pair, recording=f'librispeech:{speaker}', split=split, language='en')


def read_gigaspeech(folder: Path) -> Iterator[Item]:
    """Yield GigaSpeech: GigaSpeech.json and audio/<kind>/P0000/*.opus, one cut for each utterance of a long recording.

    Punctuation comes as words (' <COMMA>') and is written as punctuation; utterances that are noise are left out.
    """
    for audio in read_json(folder / 'GigaSpeech.json', key='audios'):
        recording, segments = parse_gigaspeech(audio, folder)
        tags = audio['subsets']
        split: Split = 'test' if '{TEST}' in tags else 'validation' if '{DEV}' in tags else 'train'
        for segment in segments:
            if segment.text in NOT_SPEECH:
                continue
            for word, sign in PUNCTUATION.items():
                segment.text = segment.text.replace(word, sign)
            yield _utterance(
                recording,
                segment,
                recording=f'gigaspeech:{recording.id}',
                split=split,
                language='en',
                start_s=segment.start,
                duration_s=segment.duration,
            )


def read_voxpopuli(folder: Path) -> Iterator[Item]:
    """Yield VoxPopuli: transcribed_data/<language>/asr_{train,dev,test}.tsv and <year>/<id>.ogg.

    That is how get_asr_data.py leaves them. Lhotse's recipe is not used: it reads the raw sessions, holds them all in
    memory, and downloads what it lacks. The publisher's split is by speaker; where none is known the session stands for
    it.
    """
    for table in sorted(folder.glob('transcribed_data/*/asr_*.tsv')):
        language = table.parent.name
        for row in read_table(table, ['id', 'normalized_text', 'speaker_id', 'split'], **UNQUOTED):
            speaker = row['speaker_id'] if row['speaker_id'] not in ('', 'None') else None
            yield Item(
                audio=table.parent / row['id'][:4] / f'{row["id"]}.ogg',
                source_id=row['id'],
                recording=f'voxpopuli:{speaker or row["id"].split(f"-{language}_")[0]}',
                category='speech',
                split=PUBLISHED_SPLITS[row['split']],
                language=language,
                text=row['normalized_text'],
                speaker=speaker,
            )


def read_aishell(folder: Path) -> Iterator[Item]:
    """Yield AISHELL-1: data_aishell/wav/{train,dev,test}/<speaker>/*.wav and the transcript v0.8.

    The speakers' archives must be unpacked. Lhotse's recipe holds the whole list (141,600 utterances) in memory.
    """
    for part, manifests in prepare_aishell(folder).items():
        recordings = {recording.id: recording for recording in manifests['recordings']}
        for segment in sorted(manifests['supervisions'], key=lambda segment: segment.id):
            recording = recordings[segment.recording_id]
            speaker = f'aishell:{segment.speaker}'
            yield _utterance(recording, segment, recording=speaker, split=PUBLISHED_SPLITS[part], language='zh')


def read_commonvoice(folder: Path) -> Iterator[Item]:
    """Yield Common Voice, of any release: <locale>/{train,dev,test}.tsv and <locale>/clips/*.mp3.

    Lhotse's recipe is not used: it wants columns that only later releases have, and a process of its own for each
    locale.
    """
    for part in ('train', 'dev', 'test'):
        for table in sorted(folder.glob(f'*/{part}.tsv')):
            for row in read_table(table, ['client_id', 'path', 'sentence'], **UNQUOTED):
                yield _commonvoice_clip(table.parent, row, PUBLISHED_SPLITS[part])


def _commonvoice_clip(folder: Path, row: dict[str, str], split: Split, **more: Any) -> Item:
    return Item(
        audio=folder / 'clips' / row['path'],
        source_id=Path(row['path']).stem,
        recording=f'commonvoice:{row["client_id"]}',
        category='speech',
        split=split,
        language=language_of(folder.name),
        text=row['sentence'].strip(),
        speaker=row['client_id'],
        more=more,
    )


def read_covost(folder: Path, source: str, target: str) -> Iterator[Item]:
    """Yield CoVoST 2: <source>/covost_v2.<source>_<target>.tsv beside validated.tsv and clips/ of CommonVoice 4.

    The tables are joined by path, as the publisher does; rows of other splits belong to version 1 and are left out. The
    translation is in `custom` as `translation` and `translation_language`.
    """
    table = folder / source / f'covost_v2.{source}_{target}.tsv'
    escaped = {**UNQUOTED, 'escapechar': '\\'}
    translations = {
        row['path']: (row['translation'], PUBLISHED_SPLITS[row['split']])
        for row in read_table(table, ['path', 'translation', 'split'], **escaped)
        if row['split'] in PUBLISHED_SPLITS
    }
    for row in read_table(table.with_name('validated.tsv'), ['client_id', 'path', 'sentence'], **escaped):
        if row['path'] in translations:
            translation, split = translations[row['path']]
            more = {'translation': translation.strip(), 'translation_language': language_of(target)}
            yield _commonvoice_clip(table.parent, row, split, **more)


def _covost(source: str, target: str) -> ClipSource:
    read: Callable[[Path], Iterator[Item]] = partial(read_covost, source=source, target=target)
    return ClipSource(
        name=f'covost2-{language_of(source)}-{language_of(target)}',
        title=f'CoVoST 2 ({source} to {target})',
        family='speech',
        licence='CC0-1.0',
        attribution='CoVoST 2 by C. Wang, A. Wu and J. Pino; speech from Mozilla Common Voice',
        homepage='https://github.com/facebookresearch/covost',
        layout=(f'{source}/covost_v2.{source}_{target}.tsv', f'{source}/validated.tsv', f'{source}/clips/*'),
        read=read,
    )


SOURCES = (
    ClipSource(
        name='commonvoice',
        title='Common Voice',
        family='speech',
        licence='CC0-1.0',
        attribution='Mozilla Common Voice and its contributors',
        homepage='https://commonvoice.mozilla.org',
        layout=('*/train.tsv', '*/clips/*'),
        read=read_commonvoice,
    ),
    ClipSource(
        name='gigaspeech',
        title='GigaSpeech',
        family='speech',
        licence="Apache-2.0 (annotation); the sound stays its owners', for non-commercial research",
        attribution='GigaSpeech by G. Chen et al., SpeechColab',
        homepage='https://github.com/SpeechColab/GigaSpeech',
        layout=('GigaSpeech.json', 'audio/*/*/*.opus'),
        read=read_gigaspeech,
    ),
    ClipSource(
        name='librispeech',
        title='LibriSpeech',
        family='speech',
        licence='CC-BY-4.0',
        attribution='LibriSpeech by V. Panayotov, G. Chen, D. Povey and S. Khudanpur, from LibriVox recordings',
        homepage='https://www.openslr.org/12',
        layout=('*-*/*/*/*.trans.txt', '*-*/*/*/*.flac'),
        archive='LibriSpeech',
        read=read_librispeech,
    ),
    ClipSource(
        name='voxpopuli',
        title='VoxPopuli',
        family='speech',
        licence='CC0-1.0',
        attribution='VoxPopuli by C. Wang et al., from recordings of the European Parliament',
        homepage='https://github.com/facebookresearch/voxpopuli',
        layout=('transcribed_data/*/asr_*.tsv', 'transcribed_data/*/*/*.ogg'),
        read=read_voxpopuli,
    ),
    _covost('en', 'zh-CN'),
    _covost('zh-CN', 'en'),
    ClipSource(
        name='aishell',
        title='AISHELL-1',
        family='speech',
        licence='Apache-2.0',
        attribution='AISHELL-1 by H. Bu, J. Du, X. Na, B. Wu and H. Zheng, Beijing Shell Shell Technology',
        homepage='https://www.openslr.org/33',
        layout=('data_aishell/transcript/aishell_transcript_v0.8.txt', 'data_aishell/wav/*/*/*.wav'),
        read=read_aishell,
    ),
)
