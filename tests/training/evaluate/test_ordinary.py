"""The ordinary sound: every family of recordings counts alike, and a false response is put to the sound it is about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from audio_interaction_ros.audio import CHUNK_SAMPLES
from training.clips.sounds import SoundClip
from training.evaluate.clip_sets import ClipSet, Scored
from training.evaluate.false_responses import write_false_responses
from training.evaluate.hearing import Listener, end_s
from training.evaluate.ordinary import OrdinaryAudio, false_responses, hear_long, ordinary_audio


def scored(name: str, recording: str, respond: bool = False) -> Scored:
    noise = np.random.default_rng(len(name)).normal(0, 0.1, 16_000).astype(np.float32)
    return Scored(SoundClip.of('rain', respond, name, noise), recording, f'{name}.wav', 'rainfall')


@pytest.fixture(scope='module')
def audio() -> OrdinaryAudio:
    digits = ClipSet('digits', 'a', tuple(scored(f'digit {n}', 'one speaker') for n in range(100)))
    others = ClipSet('others', 'a', (scored('rain', 'rain'), scored('tap', 'tap'), scored('siren', 'siren', True)))
    return ordinary_audio([digits, others], 600.0, seed=1)


def test_a_hundred_files_of_one_speaker_are_drawn_as_often_as_one_file_of_another(audio: OrdinaryAudio):
    drawn = Counter(place.scored.recording for place in audio.placed)
    assert set(drawn) == {'one speaker', 'rain', 'tap'}  # and nothing that deserves an answer
    assert all(0.2 < count / len(audio.placed) < 0.47 for count in drawn.values())
    assert len({place.scored.file for place in audio.placed if place.set_name == 'digits'}) > 20


def test_the_stretches_fill_the_time_and_a_response_counts_for_the_last_sound_that_began(audio: OrdinaryAudio):
    third = audio.placed[2]
    listened = audio.listened([third.onset / 16_000 + 0.4, third.end / 16_000 + 0.01, 0.0])
    assert sum(stretch.hours for _, stretch in listened) == pytest.approx(len(audio.samples) / 16_000 / 3_600)
    assert [stretch.false_responses for _, stretch in listened[:4]] == [1, 0, 2, 0]
    assert [name for name, _ in listened] == [place.set_name for place in audio.placed]


def test_each_false_response_is_on_the_page_with_its_sound_its_words_and_what_led_to_it(
    audio: OrdinaryAudio, listener: Listener, tmp_path: Path
):
    short = OrdinaryAudio(audio.samples[: 60 * CHUNK_SAMPLES], audio.placed)
    heard = hear_long(listener, short.samples, listener.threshold, 'test')
    found = false_responses(short, heard)
    assert len(found) == len(heard.responses) > 1
    for one, response in zip(found, heard.responses, strict=True):
        at = round((one.recording_s - one.at_s) * 16_000)
        kept = short.samples[at : at + len(one.samples)]
        assert np.abs(one.samples / 32_768 - kept).max() < 1e-4
        assert 1.9 < one.at_s < 6.1 or one.recording_s < 2
        assert (one.at_s, response.decision.probability) in [pytest.approx(point) for point in one.probabilities]
        assert one.recording_s == end_s(response.decision)
    rate = {'confidence_95': {}, 'false_alarms_per_hour': 1.0, 'hours_listened': 1.0}
    hours = {'a': rate | {'sounds': 2, 'recordings': 2}}
    write_false_responses([('a', one) for one in found], hours, listener.threshold, tmp_path / 'page.html')
    page = (tmp_path / 'page.html').read_text()
    assert page.count('<audio') == page.count('class="chance"') == len(found)
    assert page.count('<details') == len({response.text for response in heard.responses})
    assert all(f'rainfall (here: rain): {one.place.scored.file}' in page for one in found)


def test_without_a_false_response_the_page_says_so(tmp_path: Path):
    write_false_responses([], {}, 0.5, tmp_path / 'page.html')
    assert '0 false responses' in (tmp_path / 'page.html').read_text()
