"""This module reads the noise corpora of paper Table 9.

What they hold lies behind a stream and never deserves an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lhotse.recipes.musan import prepare_musan

from training.sources.base import PUBLISHED_SPLITS, ClipSource, Item, SourceError, read_table

FREESOUND_NAME = re.compile(r'(?P<kind>.+)_Freesound_validated_(?P<id>\w+)_\d+')
YOUTUBE_NAME = re.compile(r'[\w-]{11}')


def read_musan(folder: Path) -> Iterator[Item]:
    """Yield the recordings of MUSAN: {music,speech,noise}/<origin>/*.wav and music/<origin>/ANNOTATIONS.

    The publisher gives no split. `recording` is the artist for music, the file for the rest. Genres are in `custom` as
    `labels`.
    """
    for part, manifests in prepare_musan(folder).items():
        music = {segment.recording_id: segment for segment in manifests.get('supervisions', ())}
        for recording in sorted(manifests['recordings'], key=lambda recording: recording.id):
            segment = music.get(recording.id)
            yield Item(
                audio=recording,
                source_id=recording.id,
                recording=f'musan:{segment.speaker if segment else recording.id}',
                category=part,
                respond=False,
                more={'labels': segment.custom['genres']} if segment else {},
            )


def read_wham(folder: Path) -> Iterator[Item]:
    """Yield the noises of WHAM!: {tr,cv,tt}/*.wav and metadata/noise_meta_{tr,cv,tt}.csv.

    Lhotse's recipe is not used: it leaves out the metadata, which alone tells which files are of one recording. Raises
    SourceError if a table is absent.
    """
    for part in ('tr', 'cv', 'tt'):
        table = folder / 'metadata' / f'noise_meta_{part}.csv'
        if not table.is_file():
            raise SourceError(f"WHAM! at '{folder}' lacks '{table.name}' in metadata; unpack wham_noise.zip again")
        for row in read_table(table, ['utterance_id', 'File ID']):
            name = row['utterance_id'].removesuffix('.wav')
            yield Item(
                audio=folder / part / f'{name}.wav',
                id=f'{part}/{name}',
                source_id=name,
                recording=f'wham:{row["File ID"]}',
                category='noise',
                split=PUBLISHED_SPLITS[part],
                respond=False,
            )


def read_dns(folder: Path) -> Iterator[Item]:
    """Yield the noises of the DNS Challenge: datasets*/noise*/*.wav, all of them for training.

    The folder is datasets/noise until the third challenge, datasets_fullband/noise_fullband after it. A file is
    <kind>_Freesound_validated_<id>_<piece>, a YouTube video by its id, or of DEMAND, taken by its name. The challenges
    test on other recordings. Which side a clip is on that another corpus has too is for `settle_sides` to say.
    """
    for path in sorted(folder.glob('datasets*/noise*/*.wav')):
        freesound = FREESOUND_NAME.fullmatch(path.stem)
        if freesound:
            recording, licence = f'freesound:{freesound["id"]}', 'CC0-1.0'
            kind, attribution = freesound['kind'].replace('_', ' '), f'https://freesound.org/s/{freesound["id"]}/'
        elif YOUTUBE_NAME.fullmatch(path.stem):
            recording, licence, kind = f'youtube:{path.stem}', 'CC-BY-4.0 (labels)', 'noise'
            attribution = f'YouTube video {path.stem}, by way of AudioSet'
        else:
            recording, licence, kind, attribution = f'dns:{path.stem}', None, 'noise', None
        yield Item(
            audio=path,
            source_id=path.stem,
            recording=recording,
            category=kind,
            split='train',
            respond=False,
            licence=licence,
            attribution=attribution and f'{attribution}; noise of the DNS Challenge (Microsoft)',
        )


SOURCES = (
    ClipSource(
        name='musan',
        title='MUSAN',
        family='noise',
        licence='CC-BY-4.0',
        attribution='MUSAN by D. Snyder, G. Chen and D. Povey',
        homepage='https://www.openslr.org/17',
        layout=('music/*/ANNOTATIONS', 'music/*/*.wav', 'speech/*/*.wav', 'noise/*/*.wav'),
        archive='musan',
        read=read_musan,
    ),
    ClipSource(
        name='wham',
        title='WHAM! noise',
        family='noise',
        licence='CC-BY-NC-4.0',
        attribution='WHAM! by G. Wichern et al., Whisper.ai and MERL',
        homepage='http://wham.whisper.ai',
        layout=('tr/*.wav', 'cv/*.wav', 'tt/*.wav', 'metadata/noise_meta_*.csv'),
        archive='wham_noise',
        read=read_wham,
    ),
    ClipSource(
        name='dns',
        title='DNS Challenge noise',
        family='noise',
        licence='CC-BY-4.0 and CC-BY-SA-3.0, as the challenge states for each origin',
        attribution='Deep Noise Suppression Challenge by C. K. A. Reddy et al., Microsoft',
        homepage='https://github.com/microsoft/DNS-Challenge',
        layout=('datasets*/noise*/*.wav',),
        archive='DNS-Challenge',
        read=read_dns,
    ),
)
