"""What many tests need: a small real checkpoint, and a ROS domain of their own."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from audio_interaction_ros.cli.domain import RosDomain
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf, load_decoder, load_encoder
from tests.tiny_checkpoint import EVENTS, write_tiny_checkpoint

# Seeded, so that a failure is there again; no deadline, because machines are busy.
settings.register_profile('repeatable', derandomize=True, deadline=None)
settings.load_profile('repeatable')

# librosa's compiled functions are kept on disk, and two processes that write one at once can leave a broken one behind.
if worker := os.environ.get('PYTEST_XDIST_WORKER'):
    os.environ.setdefault('NUMBA_CACHE_DIR', str(Path(tempfile.gettempdir(), f'numba-{os.getuid()}-{worker}')))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker begins the longest one when the other has nothing left.

    Among them, and among the others, one that starts nodes and one that does not take turns: nodes mostly wait for
    sound in real time, which leaves a core to what computes.
    """
    slow, nodes = ({item.path for item in items if item.get_closest_marker(name)} for name in ('slow', 'system'))
    places: dict[Path, int] = {}
    before: Counter[tuple[bool, bool]] = Counter()
    for path in dict.fromkeys(item.path for item in items):
        kind = path in slow, path in nodes
        places[path] = before[kind]
        before[kind] += 1
    items.sort(key=lambda item: (item.path not in slow, places[item.path], item.path not in nodes))


@pytest.fixture(scope='session', autouse=True)
def own_ros_domain() -> Iterator[None]:
    """Whatever a test starts meets neither another run of the tests nor an assistant that is at work here."""
    with RosDomain() as domain:
        os.environ |= {'ROS_DOMAIN_ID': str(domain.number), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
        yield


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a random checkpoint, the same every time."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp('checkpoints') / 'tiny')


@pytest.fixture(scope='session')
def encoder_half(tiny_checkpoint: Path) -> EncoderHalf:
    return load_encoder(tiny_checkpoint)


@pytest.fixture(scope='session')
def eventful_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same checkpoint with an event head."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp('checkpoints') / 'eventful', events=EVENTS)


@pytest.fixture(scope='session')
def eventful_half(eventful_checkpoint: Path) -> DecoderHalf:
    return load_decoder(eventful_checkpoint)


@pytest.fixture(scope='session')
def decoder_half(tiny_checkpoint: Path) -> DecoderHalf:
    return load_decoder(tiny_checkpoint)
