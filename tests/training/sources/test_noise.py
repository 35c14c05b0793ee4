"""Noise is never to be answered, and what was recorded together stays on one side."""

from tests.training.sources.miniature import clips, refuses, sound, text
from training.sources.base import split_of


def musan(root):
    sound(root / 'musan/music/fma/music-fma-0000.wav')
    sound(root / 'musan/music/fma/music-fma-0001.wav')
    text(
        root / 'musan/music/fma/ANNOTATIONS',
        'music-fma-0000 rock,pop Y the_band public',
        'music-fma-0001 jazz N the_band public',
    )
    sound(root / 'musan/speech/librivox/speech-librivox-0000.wav')
    sound(root / 'musan/noise/free-sound/noise-free-sound-0000.wav')
    return root


def test_musan_is_split_by_artist_or_file(tmp_path):
    found = clips('musan', musan(tmp_path))
    _, supervision, facts = found['music-fma-0000']
    assert supervision.labels == ['rock', 'pop']
    assert (facts.category, facts.respond, facts.licence) == ('music', False, 'CC-BY-4.0')
    assert facts.recording == found['music-fma-0001'][2].recording == 'musan:the_band'
    assert facts.split == split_of('musan:the_band')
    facts = found['noise-free-sound-0000'][2]
    assert (facts.category, facts.recording) == ('noise', 'musan:noise-free-sound-0000')
    assert found['speech-librivox-0000'][2].category == 'speech'


def test_musan_with_a_part_or_a_track_missing_is_refused(tmp_path):
    musan(tmp_path)
    (tmp_path / 'musan/music/fma/music-fma-0001.wav').unlink()
    refuses('musan', tmp_path, 'MUSAN', 'not as published')
    (tmp_path / 'musan/noise/free-sound/noise-free-sound-0000.wav').unlink()
    refuses('musan', tmp_path, 'no MUSAN', 'noise/*/*.wav', 'openslr.org/17')


def wham(root):
    header = 'utterance_id,Noise Band,File ID,L to R Width (cm),Reverberation Level,Location ID,Location Day ID'
    for part, file_id in (('tr', '12'), ('cv', '13'), ('tt', '14')):
        names = [f'01{part}0310_0.329{n}_409c020i_-0.3294.wav' for n in range(2)]
        for name in names:
            sound(root / 'wham_noise' / part / name, channels=2)
        text(
            root / f'wham_noise/metadata/noise_meta_{part}.csv',
            header,
            *(f'{name},2,{file_id},16.0,m,3,5' for name in names),
        )
    return root


def test_wham_is_split_as_published_and_by_original_recording(tmp_path):
    found = clips('wham', wham(tmp_path))
    assert len(found) == 6
    cut, _, facts = found['01cv0310_0.3291_409c020i_-0.3294']
    assert cut.num_channels == 2
    assert (facts.category, facts.respond, facts.licence) == ('noise', False, 'CC-BY-NC-4.0')
    assert (facts.recording, facts.split) == ('wham:13', 'validation')
    sides = {facts.recording: facts.split for _, _, facts in found.values()}
    assert sides == {'wham:12': 'train', 'wham:13': 'validation', 'wham:14': 'test'}


def test_wham_without_a_part_or_its_metadata_is_refused(tmp_path):
    wham(tmp_path)
    (tmp_path / 'wham_noise/metadata/noise_meta_tt.csv').unlink()
    refuses('wham', tmp_path, 'noise_meta_tt.csv')
    for path in (tmp_path / 'wham_noise/cv').iterdir():
        path.unlink()
    refuses('wham', tmp_path, 'nothing there matches cv/*.wav', 'wham.whisper.ai')


def test_dns_noise_names_freesound_and_youtube_as_other_corpora_do(tmp_path):
    folder = tmp_path / 'datasets_fullband/noise_fullband'
    for name in ('breath_spit_Freesound_validated_26803_0', 'breath_spit_Freesound_validated_26803_1', 'wntLte49djU'):
        sound(folder / f'{name}.wav', rate_hz=48_000)
    sound(folder / 'SPSQUARE_ch01.wav', rate_hz=48_000)
    found = clips('dns', tmp_path)
    facts = found['breath_spit_Freesound_validated_26803_1'][2]
    assert (facts.category, facts.recording, facts.licence) == ('breath spit', 'freesound:26803', 'CC0-1.0')
    assert 'https://freesound.org/s/26803/' in facts.attribution
    assert (facts.respond, facts.split) == (False, 'train')
    facts = found['wntLte49djU'][2]
    assert (facts.category, facts.recording) == ('noise', 'youtube:wntLte49djU')
    assert 'YouTube video wntLte49djU' in facts.attribution
    assert found['SPSQUARE_ch01'][2].recording == 'dns:SPSQUARE_ch01'


def test_dns_of_the_older_challenges_is_read_and_an_empty_folder_refused(tmp_path):
    refuses('dns', tmp_path, 'no DNS Challenge noise', 'datasets*/noise*/*.wav', 'microsoft/DNS-Challenge')
    sound(tmp_path / 'DNS-Challenge/datasets/noise/door_Freesound_validated_458454_3.wav')
    assert list(clips('dns', tmp_path)) == ['door_Freesound_validated_458454_3']
