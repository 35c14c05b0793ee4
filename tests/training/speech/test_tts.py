"""Text-to-speech: espeak-ng itself, a program that speaks Piper's protocol, and a server that speaks CosyVoice's."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from training.speech.espeak import Speaker
from training.speech.tts import CosyVoiceTts, EspeakTts, PiperTts, TextToSpeech, one_side
from training.speech.voices import SpeechError

needs_espeak = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')


@pytest.fixture
def tts() -> Iterator[EspeakTts]:
    with Speaker() as speaker:
        yield EspeakTts(speaker)


def voices(tts: TextToSpeech, language: str) -> set[str]:
    return {name for split in ('train', 'validation', 'test') for name in tts.voices(language, split)}


def _frequency_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * 16_000 / len(samples)


def test_the_sides_of_the_split_share_no_variant() -> None:
    tts = EspeakTts(Speaker())
    for language in ('en', 'zh', 'de', 'fr', 'es'):
        sides = [tts.voices(language, split) for split in ('train', 'validation', 'test')]
        variants = [{name.split('+')[1] for name in names} for names in sides]
        assert all(variants) and all(len(names) == len(set(names)) for names in sides)
        assert not variants[0] & variants[1] and not variants[0] & variants[2] and not variants[1] & variants[2]
    assert len(tts.voices('en')) > 200 and len(tts.voices('zh')) > 30
    assert len(tts.voices('en', 'validation')) + len(tts.voices('en', 'test')) > 40
    assert tts.voices('ja') == ()


def test_a_tenth_of_the_voices_of_other_engines_is_held_out_for_each_side() -> None:
    names = [f'voice {number}' for number in range(25)]
    sides = {split: one_side(names, split) for split in ('train', 'validation', 'test')}
    assert sorted(name for side in sides.values() for name in side) == sorted(names)
    assert sides['validation'] == ('voice 1', 'voice 11', 'voice 21') and len(sides['test']) == 3
    assert one_side(names[:1], 'test') == () and one_side(names[:3], 'test') == ('voice 2',)


@needs_espeak
def test_every_espeak_variant_is_a_voice_of_its_own(tts: EspeakTts) -> None:
    # espeak-ng ignores a variant that it does not have, without a word.
    names = [n for split in ('train', 'validation', 'test') for n in tts.voices('en', split) if n.startswith('en-us+')]
    assert len({tts.speak('Good day.', name, 1).samples.tobytes() for name in names}) == len(names)


@needs_espeak
def test_the_seed_settles_rate_and_pitch(tts: EspeakTts) -> None:
    first, again, other = (tts.speak('It is nine.', 'en-us+m1', seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.samples, again.samples)
    assert len(other.samples) != len(first.samples)
    assert first.words is not None and [word for word, _, _ in first.words] == ['It', 'is', 'nine.']


# A program with piper's command line. It sings one note a character, higher for a higher speaker.
_PIPER = """#!{python}
import argparse, array, json, math, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument('--model', required=True)
parser.add_argument('--output-raw', action='store_true', required=True)
parser.add_argument('--length-scale', type=float, required=True)
parser.add_argument('--speaker', type=int, default=0)
arguments, rest = parser.parse_known_args()
text = sys.stdin.read()
model = pathlib.Path(arguments.model)
model.with_suffix('.log').write_text(json.dumps([sys.argv[1:], text]))
assert not rest and text.count('\\n') == 1
if 'wait' in text:
    time.sleep(600)
if 'fail' in text:
    sys.exit('no such phoneme')
if 'quiet' not in text:
    rate = json.loads(pathlib.Path(f'{{model}}.json').read_text())['audio']['sample_rate']
    length = int(rate * 0.05 * len(text) * arguments.length_scale)
    step = 2 * math.pi * 400 * (1 + arguments.speaker) / rate
    array.array('h', (int(9000 * math.sin(step * n)) for n in range(length))).tofile(sys.stdout.buffer)
"""


@pytest.fixture
def piper(tmp_path: Path) -> PiperTts:
    program = tmp_path / 'piper'
    program.write_text(_PIPER.format(python=sys.executable))
    program.chmod(0o755)
    models = [tmp_path / 'en_US-one-medium.onnx', tmp_path / 'en_GB-many-low.onnx', tmp_path / 'zh_CN-old-low.onnx']
    descriptions = [
        {'audio': {'sample_rate': 22_050}, 'num_speakers': 1, 'language': {'family': 'en'}},
        {'audio': {'sample_rate': 16_000}, 'num_speakers': 3, 'language': {'family': 'en'}},
        {'audio': {'sample_rate': 22_050}, 'num_speakers': 1},
    ]
    for model, description in zip(models, descriptions, strict=True):
        model.touch()
        model.with_name(f'{model.name}.json').write_text(json.dumps(description))
    return PiperTts(models, str(program), timeout_s=60.0)


def test_piper_has_a_voice_for_each_speaker_of_each_model(piper: PiperTts) -> None:
    assert voices(piper, 'en') == {'en_US-one-medium', *(f'en_GB-many-low#{number}' for number in range(3))}
    assert voices(piper, 'zh') == {'zh_CN-old-low'}
    assert voices(piper, 'de') == set()


@pytest.mark.parametrize(('voice', 'hz'), [('en_US-one-medium', 400), ('en_GB-many-low#2', 1_200)])
def test_piper_speaks_with_the_chosen_speaker_at_the_rate_of_its_model(piper: PiperTts, voice: str, hz: int) -> None:
    text = 'A sentence to be said.'
    samples = piper.speak(text, voice, seed=3).samples
    assert samples.dtype == np.float32
    assert _frequency_hz(samples) == pytest.approx(hz, rel=0.01)
    assert 0.85 <= len(samples) / 16_000 / (0.05 * len(text + ' ')) <= 1.2
    assert len(piper.speak(text, voice, seed=4).samples) != len(samples)


def test_piper_gets_text_as_one_line_on_standard_input(piper: PiperTts, tmp_path: Path) -> None:
    text = '--output-file x; $(touch y)\nand\x00 more 你好'
    piper.speak(text, 'en_US-one-medium', seed=0)
    arguments, heard = json.loads((tmp_path / 'en_US-one-medium.log').read_text())
    assert heard == '--output-file x; $(touch y) and more 你好\n'
    assert 'more' not in ' '.join(arguments)
    assert not (tmp_path / 'y').exists()


@pytest.mark.parametrize(('text', 'message'), [('fail', 'no such phoneme'), ('quiet', 'no sound'), ('wait', 'longer')])
def test_a_failing_piper_is_one_clear_error(piper: PiperTts, text: str, message: str, tmp_path: Path) -> None:
    if text == 'wait':
        piper = PiperTts([tmp_path / 'en_US-one-medium.onnx'], str(tmp_path / 'piper'), timeout_s=0.5)
    with pytest.raises(SpeechError, match=message):
        piper.speak(text, 'en_US-one-medium', seed=0)


def test_an_absent_piper_or_model_is_named_with_its_cure(tmp_path: Path, piper: PiperTts) -> None:
    model = tmp_path / 'en_US-one-medium.onnx'
    with pytest.raises(SpeechError, match='pip install piper-tts'):
        PiperTts([model], str(tmp_path / 'nowhere')).speak('Hello.', model.stem, seed=0)
    with pytest.raises(SpeechError, match='no Piper voice at'):
        PiperTts([tmp_path / 'absent.onnx'])
    with pytest.raises(SpeechError, match='no voice'):
        piper.speak('Hello.', 'absent', seed=0)
    model.with_name(f'{model.name}.json').write_text('{"audio": 1}')
    with pytest.raises(SpeechError, match='does not describe'):
        PiperTts([model])


class _CosyVoice(BaseHTTPRequestHandler):
    """The server's /inference_sft, and what goes wrong with servers, by the name of the speaker."""

    forms: list[dict[str, list[str]]]
    over: threading.Event  # of the test; until then it keeps its client waiting, for 20 s at most

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode(), strict_parsing=True)
        self.forms.append(form)
        speaker = form['spk_id'][0]
        rate_hz = 24_000 if speaker == 'new' else 22_050
        tone = (9_000 * np.sin(2 * np.pi * 500 * np.arange(rate_hz // 2) / rate_hz)).astype('<i2').tobytes()
        if self.path != '/inference_sft' or speaker == 'refused':
            self.send_error(422)
            return
        if speaker == 'slow':
            self.over.wait(20.0)
        self.send_response(200)
        if speaker == 'new':
            self.send_header('X-Custom-Header-sampleRate', '24000')
        if speaker == 'cut':
            self.send_header('Content-Length', str(len(tone)))
        self.end_headers()
        if speaker == 'trickling':
            for start in range(0, 20_000, 100):
                self.wfile.write(tone[start : start + 100])
                if self.over.wait(0.1):
                    break
        else:
            self.wfile.write({'cut': tone[:1_000], 'odd': tone[:1_001], 'empty': b''}.get(speaker, tone))

    def log_message(self, *_: object) -> None:
        pass  # pytest's output is not for request logs

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the client gave up, as it should


@pytest.fixture
def cosyvoice() -> Iterator[str]:
    _CosyVoice.forms, _CosyVoice.over = [], threading.Event()
    with ThreadingHTTPServer(('127.0.0.1', 0), _CosyVoice) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        _CosyVoice.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize('speaker', ['old', 'new'])
def test_cosyvoice_is_heard_at_its_own_sample_rate(cosyvoice: str, speaker: str) -> None:
    samples = CosyVoiceTts(cosyvoice + '/').speak('你好 & a=b\n-v', speaker, seed=0).samples
    assert samples.dtype == np.float32 and len(samples) == pytest.approx(8_000, abs=2)
    assert _frequency_hz(samples) == pytest.approx(500, rel=0.01)
    assert _CosyVoice.forms == [{'tts_text': ['你好 & a=b -v'], 'spk_id': [speaker]}]


@pytest.mark.parametrize('speaker', ['refused', 'slow', 'trickling', 'cut', 'odd', 'empty'])
def test_a_slow_or_broken_cosyvoice_is_one_clear_error_in_time(cosyvoice: str, speaker: str) -> None:
    began = time.monotonic()
    with pytest.raises(SpeechError, match='see its log'):
        CosyVoiceTts(cosyvoice, timeout_s=0.5).speak('Hello.', speaker, seed=0)
    assert time.monotonic() - began < 15.0  # not the server's 20 s


def test_an_absent_cosyvoice_is_named(cosyvoice: str) -> None:
    with pytest.raises(SpeechError, match=r"start CosyVoice's fastapi server"):
        CosyVoiceTts('http://127.0.0.1:9').speak('Hello.', 'x', seed=0)
    with pytest.raises(SpeechError, match='no address'):
        CosyVoiceTts('file:///etc/hosts')


def test_cosyvoice_knows_the_speakers_of_its_model_unless_told_others() -> None:
    assert voices(CosyVoiceTts('http://localhost'), 'zh') == {'中文女', '中文男'}
    assert CosyVoiceTts('http://localhost', {'en': ['a']}).voices('zh') == ()
