"""replay hears a bag as listen hears the file, the same every time, and says what it could not read."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.bag_writer import BagWriter, TopicQos
from audio_interaction_ros.bags import STAMPED
from audio_interaction_ros.cli import main
from tests.bag_of_sound import START_NS, audio_cdr, s16_messages, write_bag

PCM = PcmFormat(16_000, 1, 'S16LE')
SOUND = np.random.default_rng(3).normal(0, 0.1, 12 * 6_400 + 500).astype(np.float32)


def replay(capsys, bag: Path, out: Path, checkpoint: Path) -> dict:
    """The summary line."""
    assert main(['replay', str(bag), '--out', str(out), '--checkpoint', str(checkpoint)]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def decisions(out: Path) -> list[dict[str, str]]:
    with (out / 'decisions.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_replaying_twice_writes_identical_files(tmp_path, capsys, tiny_checkpoint):
    bag = write_bag(tmp_path / 'bag', s16_messages(SOUND, 16_000), PCM)
    for out in ('first', 'second'):
        replay(capsys, bag, tmp_path / out, tiny_checkpoint)
    for name in ('decisions.csv', 'responses.json'):
        first, second = ((tmp_path / out / name).read_bytes() for out in ('first', 'second'))
        assert first == second
    assert len(decisions(tmp_path / 'first')) == 13


def test_what_the_model_is_told_expires_by_the_stamps_of_the_bag(tmp_path, capsys, tiny_checkpoint):
    bag = write_bag(tmp_path / 'bag', s16_messages(SOUND, 16_000), PCM)
    context = tmp_path / 'context.json'

    def probabilities(after_s):
        """Of every decision, with a context that expires so many seconds after the bag has begun."""
        expires = datetime.fromtimestamp(START_NS * 1e-9 + after_s, timezone.utc)
        context.write_text(json.dumps({'place': 'kitchen', 'expires': expires.isoformat()}))
        options = ['--out', str(tmp_path), '--checkpoint', str(tiny_checkpoint), '--context', str(context)]
        assert main(['replay', str(bag), *options]) == 0
        return [row['probability'] for row in decisions(tmp_path)]

    never, always, half = probabilities(-1), probabilities(3_600), probabilities(2.2)
    assert half[:6] == always[:6] != never[:6]
    assert half[6] != always[6]


def test_both_storages_replay_alike(tmp_path, capsys, tiny_checkpoint):
    for storage in ('mcap', 'sqlite3'):
        bag = write_bag(tmp_path / storage, s16_messages(SOUND, 16_000), PCM, storage)
        replay(capsys, bag, tmp_path / f'{storage}-out', tiny_checkpoint)
    for name in ('decisions.csv', 'responses.json'):
        assert (tmp_path / 'mcap-out' / name).read_bytes() == (tmp_path / 'sqlite3-out' / name).read_bytes()


@pytest.mark.parametrize(('sample_rate_hz', 'frames'), [(16_000, 1_000), (16_000, 320), (48_000, 4_800)])
def test_a_bag_is_heard_as_the_same_sound_in_a_file(tmp_path, capsys, talkative_checkpoint, sample_rate_hz, frames):
    sound = np.tile(SOUND[:16_100], sample_rate_hz // 16_000)
    pcm = PcmFormat(sample_rate_hz, 1, 'S16LE')
    bag = write_bag(tmp_path / 'bag', s16_messages(sound, sample_rate_hz, frames), pcm)
    summary = replay(capsys, bag, tmp_path / 'out', talkative_checkpoint)
    soundfile.write(tmp_path / 'sound.wav', sound, sample_rate_hz, 'PCM_16')
    main(['listen', '--checkpoint', str(talkative_checkpoint), str(tmp_path / 'sound.wav')])
    listened = json.loads(capsys.readouterr().out)
    assert summary['chunks'] == listened['chunks'] == 3
    replayed = json.loads((tmp_path / 'out' / 'responses.json').read_text())['responses']
    assert len(replayed) == 3
    for response, expected in zip(replayed, listened['responses'], strict=True):
        assert expected == {
            **{key: response[key] for key in expected},
            'probability': pytest.approx(response['probability'], abs=1e-5),
        }
    for response in replayed:
        assert response['stamp_ns'] == START_NS + response['chunk'] * 400_000_000
        assert response['t_s'] == pytest.approx(0.4 * (response['chunk'] + 1))


def test_a_gap_in_the_stamps_is_declared_and_a_long_one_begins_a_new_stream(tmp_path, capsys, tiny_checkpoint):
    messages = s16_messages(SOUND, 16_000)
    gap, pause = 10**9, 3_600 * 10**9
    messages = [
        *messages[:20],
        *((stamp_ns + gap, data) for stamp_ns, data in messages[20:40]),
        *((stamp_ns + pause, data) for stamp_ns, data in messages[40:]),
    ]
    summary = replay(capsys, write_bag(tmp_path / 'bag', messages, PCM), tmp_path / 'out', tiny_checkpoint)
    assert summary['streams'] == 2
    rows = decisions(tmp_path / 'out')
    assert [row['stream'] for row in rows] == sorted(row['stream'] for row in rows)
    # Three chunks come before the gap of 16000 samples; the 800 of the incomplete fourth are lost with it.
    assert [int(row['dropped_before']) for row in rows if row['dropped_before'] != '0'] == [16_800]
    assert rows[3]['stamp_ns'] == str(START_NS + 20 * 62_500_000 + gap)
    # Of the second stream's end, 800 more.
    assert summary['lost_s_by_cause'] == {'incomplete': 0.1, 'missing': 1.0}
    assert (summary['lost_s'], summary['pause_s']) == (1.1, 3_599.0)


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (np.zeros(321, np.uint8).tobytes(), '321 bytes found, a multiple of 4 expected'),
        (np.array([0.1, np.nan], '<f4').tobytes(), 'NaN or infinite samples found'),
    ],
)
def test_a_malformed_message_is_counted_and_the_rest_is_heard(tmp_path, capsys, tiny_checkpoint, data, reason):
    pcm = PcmFormat(16_000, 1, 'F32LE')
    messages = [
        (START_NS + begin * 62_500, SOUND[begin : begin + 1_600].tobytes()) for begin in range(0, len(SOUND), 1_600)
    ]
    messages[5] = (messages[5][0], data)
    bag = write_bag(tmp_path / 'bag', messages, pcm)
    assert main(['replay', str(bag), '--out', str(tmp_path / 'out'), '--checkpoint', str(tiny_checkpoint)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)['malformed_messages'] == 1
    assert json.loads(printed.out)['lost_s'] > 0
    assert reason in printed.err


def test_bursts_one_stamp_for_all_and_messages_twice_are_heard_whole(tmp_path, capsys, tiny_checkpoint):
    messages = s16_messages(SOUND, 16_000, 640)
    last = len(messages) - 1
    bursts = [(messages[min(last, n // 10 * 10 + 9)][0], data) for n, (_, data) in enumerate(messages)]
    one_stamp = [(START_NS, data) for _, data in messages]
    twice = [message for message in messages for _ in range(2)]
    for name, sent, faults, twice_s in (
        ('bursts', bursts, [], 0.0),
        ('one_stamp', one_stamp, ['one_stamp'], 0.0),
        ('twice', twice, [], len(SOUND) / 16_000),
    ):
        recorded = [stamp_ns for stamp_ns, _ in (twice if name == 'twice' else messages)]
        bag = write_bag(tmp_path / name, sent, PCM, recorded_ns=recorded)
        summary = replay(capsys, bag, tmp_path / f'{name}-out', tiny_checkpoint)
        assert (summary['chunks'], summary['streams'], summary['stamp_faults']) == (13, 1, faults)
        assert summary['heard_s'] == round(len(SOUND) / 16_000, 3)
        assert summary['lost_s'] == round(twice_s, 3)


@pytest.mark.cures('of sound each by their description')
@pytest.mark.parametrize(('said_hz', 'real_hz'), [(16_000, 48_000), (48_000, 16_000)])
def test_sound_that_is_not_what_its_description_says_fails_naming_what_would_fit(
    tmp_path, capsys, tiny_checkpoint, said_hz, real_hz
):
    sound = np.tile(SOUND[:32_000], real_hz // 16_000)
    bag = write_bag(tmp_path / 'bag', s16_messages(sound, real_hz, real_hz // 25), PcmFormat(said_hz, 1, 'S16LE'))
    command = ['replay', str(bag), '--out', str(tmp_path / 'out'), '--checkpoint', str(tiny_checkpoint)]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)['stamp_faults'] == ['wrong_format']
    assert f'{real_hz} Hz' in printed.err
    assert main([*command, '--sample-rate', str(real_hz)]) == 0
    assert json.loads(capsys.readouterr().out)['stamp_faults'] == []


def test_a_bag_of_which_most_is_lost_fails(tmp_path, capsys, tiny_checkpoint):
    messages = s16_messages(SOUND, 16_000, 3_200)
    bag = write_bag(tmp_path / 'bag', [messages[n] for n in (0, 1, 2, 3, 9, 10, 16, 17, 23, 24)], PCM)
    assert main(['replay', str(bag), '--out', str(tmp_path / 'out'), '--checkpoint', str(tiny_checkpoint)]) == 1
    assert 'more was lost' in capsys.readouterr().err


def test_a_bag_of_nothing_but_malformed_messages_fails_saying_why(tmp_path, capsys, tiny_checkpoint):
    bag = write_bag(tmp_path / 'bag', [(START_NS + i, b'odd') for i in range(5)], PCM)
    assert main(['replay', str(bag), '--out', str(tmp_path / 'out'), '--checkpoint', str(tiny_checkpoint)]) == 1
    error = capsys.readouterr().err
    assert '3 bytes found' in error
    assert 'not one 400 ms chunk of readable sound (5 messages left out)' in error


def test_coded_audio_is_refused(tmp_path, capsys, tiny_checkpoint):
    bag = write_bag(tmp_path / 'bag', [(START_NS, b'ID3')], PCM, coding_format='mp3')
    assert main(['replay', str(bag), '--out', str(tmp_path / 'out'), '--checkpoint', str(tiny_checkpoint)]) == 1
    assert "coded as 'mp3'; set the audio driver to 'wave'" in capsys.readouterr().err


def test_a_missing_bag_fails_before_anything_is_written(tmp_path, capsys):
    assert main(['replay', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')]) == 1
    assert 'no bag at' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.cures('with its sample rate and format', '--sample-rate is not; give that too')
def test_a_bag_without_its_format_is_replayed_when_the_format_is_given_as_the_sentence_says(
    tmp_path, capsys, tiny_checkpoint
):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/audio_stamped', STAMPED, TopicQos())
        for stamp_ns, data in s16_messages(SOUND, 16_000):
            bag.write('/audio_stamped', stamp_ns, audio_cdr(stamp_ns, data))
    command = ['replay', str(tmp_path / 'bag'), '--out', str(tmp_path / 'out'), '--checkpoint', str(tiny_checkpoint)]
    assert main(command) == 1
    assert 'give its format by --sample-rate, --channels and --sample-format' in capsys.readouterr().err
    assert main([*command, '--sample-format', 'S16LE']) == 1
    assert '--sample-rate is not; give that too' in capsys.readouterr().err
    assert main([*command, '--sample-rate', '16000', '--channels', '1', '--sample-format', 'S16LE']) == 0
    assert json.loads(capsys.readouterr().out)['heard_s'] == round(len(SOUND) / 16_000, 3)
