"""Whatever a bag holds, heard + counted as lost = sent; whatever its bytes are, it is read or refused in a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audio_interaction_ros.audio.chunk_stream import MISSING, PAUSE, ChunkStream
from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.bag_writer import BagWriter, TopicQos
from audio_interaction_ros.bags import INFO, STAMPED, AudioBagReader, BagError
from audio_interaction_ros.streaming.replay import chunks_of
from tests.bag_of_sound import START_NS, audio_cdr, info_cdr, s16_messages, write_bag
from tests.fuzz.cases import cases
from tests.fuzz.strategies import assert_one_sentence, damaged

PCM = PcmFormat(16_000, 2, 'S16LE')
STORAGES = ('mcap', 'sqlite3')
# What is recorded next: sound of so many frames, half a frame too much of it, or bytes that are no message at all.
MESSAGES = st.one_of(
    st.tuples(st.just('sound'), st.integers(1, 3_000)),
    st.tuples(st.just('torn'), st.integers(1, 3_000)),
    st.tuples(st.just('info'), st.just(0)),
    st.tuples(st.just('bytes'), st.binary(max_size=80)),
    st.tuples(st.just('changed'), st.binary(max_size=40).flatmap(lambda _: damaged(audio_cdr(START_NS, bytes(64))))),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('fuzz')


def heard(path: Path) -> tuple[ChunkStream, AudioBagReader]:
    stream = ChunkStream(1)
    with AudioBagReader(path) as bag:
        for _ in chunks_of(bag, stream, {}):
            pass
    return stream, bag


@cases(60)
@given(st.lists(MESSAGES, max_size=25), st.sampled_from(STORAGES))
@example([('bytes', audio_cdr(START_NS, bytes(64)).replace(b'microphone', b'\xff' * 10)), ('sound', 6_400)], 'mcap')
def test_every_message_of_a_bag_is_heard_or_counted(folder, messages, storage):
    path = folder / 'bag'
    shutil.rmtree(path, ignore_errors=True)
    rng, sent, unreadable, at = np.random.default_rng(0), 0, 0, 0
    with BagWriter(path, storage) as bag:
        bag.add_topic('/audio_info', INFO, TopicQos(latched=True))
        bag.add_topic('/audio_stamped', STAMPED, TopicQos())
        bag.write('/audio_info', START_NS, info_cdr(PCM))
        bag.write('/audio_stamped', START_NS, audio_cdr(START_NS, rng.bytes(640 * 4)))
        sent = at = 640
        for kind, value in messages:
            now_ns = START_NS + at * 62_500
            if kind == 'info':
                bag.write('/audio_info', now_ns, info_cdr(PCM))
            elif kind in ('bytes', 'changed'):
                bag.write('/audio_stamped', now_ns, value)
                unreadable += 1
            else:
                bag.write('/audio_stamped', now_ns, audio_cdr(now_ns, rng.bytes(value * 4 + (kind == 'torn'))))
                sent, at = sent + value, at + value
    stream, read = heard(path)
    lost = stream.lost
    accounted = stream.heard + lost.total() - lost[MISSING] - lost[PAUSE]
    # Of what is no message nobody knows whether it was sound, unless it could be read nevertheless.
    assert sent <= accounted + 1 <= sent + 2 + unreadable * 32 * 2
    assert read.malformed <= len(messages)


@pytest.fixture(scope='module', params=STORAGES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 8_000).astype(np.float32)
    messages = s16_messages(noise, 16_000)
    return write_bag(tmp_path_factory.mktemp('whole') / 'bag', messages, PcmFormat(16_000, 1, 'S16LE'), request.param)


@cases(120)
@given(st.data())
def test_a_bag_with_any_damage_is_read_or_refused(folder, whole, data):
    copy = folder / 'copy'
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    file = data.draw(st.sampled_from(sorted(copy.iterdir())), 'file')
    content = data.draw(damaged(file.read_bytes()) | st.binary(max_size=60), 'content')
    file.write_bytes(content)
    try:
        stream, bag = heard(copy)
    except BagError as error:
        assert_one_sentence(' '.join(str(error).split()), 'copy')
        return
    assert 0 <= stream.heard <= 8_000 + 10 * 16_000 or bag.malformed or stream.lost.total()
