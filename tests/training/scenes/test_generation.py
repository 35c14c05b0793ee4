"""Sounds for captions: from the procedural library, and from servers that behave and that do not."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import soundfile

from training.procedural.registry import ALL_TYPES
from training.scenes.generation import (
    AudioXGenerator,
    ElevenLabsGenerator,
    EventGenerator,
    GenerationError,
    HttpPolicy,
    ProceduralGenerator,
)

QUICK = HttpPolicy(timeout_s=60.0, retries=2, pause_s=0.01)
Answer = tuple[int, bytes]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def audio(seconds: float = 1.0, rate_hz: int = 44_100, container: str = 'WAV') -> bytes:
    """Stereo, so that down-mixing and resampling are seen."""
    tone = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(int(seconds * rate_hz)) / rate_hz)
    file = io.BytesIO()
    soundfile.write(file, np.stack([tone, tone], axis=1), rate_hz, format=container)
    return file.getvalue()


class Server:
    """A real HTTP server that answers each request with the next of `answers`, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[], Answer]] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.withheld: list[int] = []  # bytes that are promised and not sent, for the first answers
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers['content-length'])))
                outer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = outer.answers[min(len(outer.requests), len(outer.answers)) - 1]
                status, content = answer() if callable(answer) else answer
                try:
                    self.send_response(status)
                    promised = len(content) + (outer.withheld.pop() if outer.withheld else 0)
                    self.send_header('content-length', str(promised))
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):
                    return  # the client gave up waiting

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_address[1]}'
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope='module')
def procedural() -> ProceduralGenerator:
    return ProceduralGenerator()


@pytest.mark.parametrize(
    ('caption', 'category'),
    [
        ('a smoke alarm beeping three times', 'smoke alarm'),
        ('glass shattering on the kitchen floor', 'glass breaking'),
        ('gas hissing from a leaking pipe', 'gas leak'),
        ('a person coughing badly for a long time, coughing fit', 'coughing fit'),
        ('someone snoring', 'snoring'),
        ('washing machine banging out of balance', 'unbalanced washing machine'),
        ('an owl hooting at night', 'owl'),
        ('keyboard typing', 'keyboard typing'),
    ],
)
def test_a_caption_finds_the_type_it_describes(procedural: ProceduralGenerator, caption: str, category: str) -> None:
    made = procedural.generate(caption, 3.0, rng())
    assert made.category == category
    kind = ALL_TYPES[made.made_by.removeprefix('procedural:')]
    assert (made.respond, made.caption) == (kind.respond, kind.caption)
    assert made.samples.dtype == np.float32 and 0 < len(made.samples) <= 48_000


def test_every_type_is_found_by_its_own_caption(procedural: ProceduralGenerator) -> None:
    for kind in ALL_TYPES.values():
        found, similarity = procedural.closest(kind.caption)
        assert similarity > 0.4
        assert found.caption == kind.caption or found.category == kind.category, kind.name


def test_the_same_state_makes_the_same_sound(procedural: ProceduralGenerator) -> None:
    first, again = (procedural.generate('a dog growls', 2.0, rng(7)).samples for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize('caption', ['quantum flux resonance', 'jjjj', ''])
def test_a_caption_that_nothing_fits_is_refused_with_the_nearest_named(
    procedural: ProceduralGenerator, caption: str
) -> None:
    with pytest.raises(GenerationError, match='no procedural sound fits'):
        procedural.generate(caption, 2.0, rng())


def test_a_sound_of_no_length_is_refused(procedural: ProceduralGenerator) -> None:
    with pytest.raises(GenerationError, match='more than 0 s'):
        procedural.generate('rain', 0.0, rng())


def test_elevenlabs_is_asked_with_its_key_and_its_answer_becomes_16_khz_mono(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('ELEVENLABS_API_KEY', 'a-key')
    server.answers = [(200, audio(2.0, container='MP3'))]
    made = ElevenLabsGenerator(server.url, policy=QUICK).generate('a zip is drawn', 1.5, rng())
    (path, headers, body) = server.requests[0]
    assert path == '/v1/sound-generation' and headers['xi-api-key'] == 'a-key'
    assert body == {'text': 'a zip is drawn', 'duration_seconds': 1.5}
    assert made.samples.shape == (24_000,) and made.samples.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(made.samples[4_000:20_000]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=3)
    assert (made.caption, made.respond, made.made_by) == ('a zip is drawn', None, 'elevenlabs')


def test_elevenlabs_lengths_are_kept_in_what_the_service_takes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ELEVENLABS_API_KEY', 'a-key')
    server.answers = [(200, audio())]
    for asked_s in (0.1, 60.0):
        ElevenLabsGenerator(server.url, policy=QUICK).generate('rain', asked_s, rng())
    assert [body['duration_seconds'] for _, _, body in server.requests] == [0.5, 22.0]


def test_without_a_key_nobody_is_contacted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('ELEVENLABS_API_KEY', raising=False)
    with pytest.raises(GenerationError, match='set ELEVENLABS_API_KEY'):
        ElevenLabsGenerator(server.url, policy=QUICK).generate('rain', 1.0, rng())
    assert server.requests == []


def test_audiox_gets_caption_length_and_a_seed_that_follows_the_generator(server: Server) -> None:
    server.answers = [(200, audio(1.0, 16_000))]
    generator: EventGenerator = AudioXGenerator(f'{server.url}/generate', QUICK)
    for seed in (4, 4, 5):
        assert generator.generate('hail on a roof', 1.0, rng(seed)).samples.shape == (16_000,)
    bodies = [body for _, _, body in server.requests]
    assert bodies[0] == bodies[1] != bodies[2]
    assert (bodies[0]['caption'], bodies[0]['seconds']) == ('hail on a roof', 1.0)


@pytest.mark.parametrize('status', [429, 500, 503])
def test_a_busy_or_failing_server_is_asked_again(server: Server, status: int) -> None:
    server.answers = [(status, b'later'), (status, b'later'), (200, audio())]
    assert len(AudioXGenerator(server.url, QUICK).generate('rain', 1.0, rng()).samples) == 16_000
    assert len(server.requests) == 3


def test_a_server_that_goes_on_failing_is_given_up_with_its_own_words(server: Server) -> None:
    server.answers = [(503, b'out of memory')]
    with pytest.raises(GenerationError, match=r'3 attempts.*503: out of memory'):
        AudioXGenerator(server.url, QUICK).generate('rain', 1.0, rng())
    assert len(server.requests) == 3


@pytest.mark.parametrize('status', [400, 401, 404])
def test_a_refusal_is_final(server: Server, status: int) -> None:
    server.answers = [(status, b'no such voice')]
    with pytest.raises(GenerationError, match=rf'refused.*{status}: no such voice'):
        AudioXGenerator(server.url, QUICK).generate('rain', 1.0, rng())
    assert len(server.requests) == 1


def test_a_slow_server_is_not_waited_for_longer_than_agreed(server: Server) -> None:
    over = threading.Event()

    def slow() -> Answer:
        over.wait(60.0)
        return 200, audio()

    server.answers = [slow]
    start = time.monotonic()
    with pytest.raises(GenerationError, match=r'2 attempts of 0\.2 s.*timed out'):
        AudioXGenerator(server.url, HttpPolicy(0.2, 1, 0.01)).generate('rain', 1.0, rng())
    assert time.monotonic() - start < 30.0  # not the server's 60 s
    over.set()


@pytest.mark.parametrize('content', [b'', b'<html>hello</html>', audio()[:30]])
def test_what_is_no_audio_is_refused(server: Server, content: bytes) -> None:
    server.answers = [(200, content)]
    with pytest.raises(GenerationError, match='no audio'):
        AudioXGenerator(server.url, QUICK).generate('rain', 1.0, rng())


def test_an_answer_cut_off_half_way_is_asked_for_again(server: Server) -> None:
    server.answers, server.withheld = [(200, audio())], [1_000]
    assert len(AudioXGenerator(server.url, QUICK).generate('rain', 1.0, rng()).samples) == 16_000
    assert len(server.requests) == 2


def test_silence_is_refused(server: Server) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16_000), 16_000, format='WAV')
    server.answers = [(200, file.getvalue())]
    with pytest.raises(GenerationError, match='silence'):
        AudioXGenerator(server.url, QUICK).generate('rain', 1.0, rng())


def test_where_nobody_listens_the_address_is_named() -> None:
    with pytest.raises(GenerationError, match=r'http://127\.0\.0\.1:9/ gave no sound in 3 attempts'):
        AudioXGenerator('http://127.0.0.1:9/', QUICK).generate('rain', 1.0, rng())
