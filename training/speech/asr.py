"""Speech recognisers behind one interface check what was rendered (paper B.4)."""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples, encode_s16le
from training.errors import CorpusError
from training.random_streams import Purpose, random_stream
from training.speech.normalise.spoken_form import rewrite
from training.speech.voices import Word

_WHISPER_WINDOW = 30 * SAMPLE_RATE_HZ


class RecogniserError(CorpusError):
    """A `RecogniserError` says that a recogniser is not installed, or cannot do what is asked.

    The message names the cure.
    """


@dataclass(frozen=True)
class Transcript:
    """A `Transcript` is what was recognised, empty if nothing.

    `words` are (word, start and end in seconds) where the recogniser tells.
    """

    text: str
    words: tuple[Word, ...] | None = None


class Recogniser(Protocol):
    """A `Recogniser` writes down what it hears."""

    def knows(self, text: str, language: str) -> bool:
        """Return False for a language or for words that the recogniser cannot recognise at all.

        It is no judge of them.
        """
        ...

    def transcribe(self, samples: Samples, language: str) -> Transcript:
        """Return the transcript of float32 [n] at 16 kHz in 'en', 'zh' …. Raises RecogniserError."""
        ...


class FasterWhisper:
    """A `FasterWhisper` is Whisper through CTranslate2.

    The package faster-whisper is not among the requirements.
    """

    stand_in: ClassVar[bool] = False

    def __init__(self, model: str = 'small', device: str = 'cpu', compute_type: str = 'int8') -> None:
        """Load `model`: a size, a folder with CTranslate2's model.bin, or one that `python -m training parts` wrote.

        Raises RecogniserError if the package or the model is absent.
        """
        try:
            package: Any = importlib.import_module('faster_whisper')
        except ImportError:
            raise RecogniserError(
                "The package faster-whisper was not found; pip install 'audio_interaction_ros[whisper]', "
                'or use TransformersWhisper.'
            ) from None
        try:
            with tempfile.TemporaryDirectory() as scratch:
                self._model = package.WhisperModel(
                    _for_ctranslate2(model, Path(scratch)),
                    device=device,
                    compute_type=compute_type,
                    cpu_threads=1,  # a corpus is built by one process a core
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise RecogniserError(
                f'Whisper {model!r} could not be loaded ({error}); give a size or a folder.'
            ) from error

    def knows(self, text: str, language: str) -> bool:
        """Return True: the model is taken to judge any language."""
        return True

    def transcribe(self, samples: Samples, language: str) -> Transcript:
        """Return the transcript of float32 [n] at 16 kHz, without times.

        Decoding is greedy, and without memory of what came before.
        """
        segments, _ = self._model.transcribe(
            samples, language=language, beam_size=1, temperature=0.0, condition_on_previous_text=False
        )
        return Transcript(' '.join(segment.text.strip() for segment in segments))


def _for_ctranslate2(model: str, scratch: Path) -> str:
    """Return what faster-whisper opens: `model`, or what is made of it in `scratch` if it has transformers' layout."""
    folder = Path(model)
    if (folder / 'model.bin').is_file() or not (folder / 'model.safetensors').is_file():
        return model
    converters: Any = importlib.import_module('ctranslate2.converters')
    beside = [name for name in ('tokenizer.json', 'preprocessor_config.json') if (folder / name).is_file()]
    converter = converters.TransformersConverter(model, copy_files=beside)
    return str(converter.convert(str(scratch / 'whisper'), quantization='float16'))


class TransformersWhisper:
    """A `TransformersWhisper` is Whisper through transformers."""

    stand_in: ClassVar[bool] = False

    def __init__(self, model: str = 'openai/whisper-small', device: str = 'cpu') -> None:
        """Load `model`, a name on the hub or a folder.

        Raises RecogniserError if the model is absent.
        """
        import torch
        import transformers  # seconds to import

        try:
            self._processor: Any = transformers.WhisperProcessor.from_pretrained(model)
            # Weights in half precision are widened: what is heard is float32.
            network: Any = transformers.WhisperForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
            self._model: Any = network.to(device).eval()
        except (OSError, ValueError) as error:
            raise RecogniserError(
                f'Whisper {model!r} could not be loaded ({error}); give a name or a folder.'
            ) from error

    def knows(self, text: str, language: str) -> bool:
        """Return True for English, and for any language if the model is multilingual."""
        return language == 'en' or bool(self._model.generation_config.is_multilingual)

    def transcribe(self, samples: Samples, language: str) -> Transcript:
        """Return the transcript of float32 [n] at 16 kHz, without times; decoding is greedy."""
        options: dict[str, Any] = {'do_sample': False, 'num_beams': 1}
        if self._model.generation_config.is_multilingual:  # the English-only models refuse to be told
            options |= {'language': language, 'task': 'transcribe'}
        long: dict[str, Any] = {}
        if len(samples) > _WHISPER_WINDOW:
            long = {'truncation': False, 'padding': 'longest'}
            options['return_timestamps'] = True
        heard = self._processor(
            samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors='pt', return_attention_mask=True, **long
        ).to(self._model.device)
        tokens = self._model.generate(heard.input_features, attention_mask=heard.attention_mask, **options)
        return Transcript(str(self._processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip())


class Pocketsphinx:
    """A `Pocketsphinx` recognises given English sentences offline, for small vocabularies.

    It is CMU Sphinx with the English model of its wheel and a grammar of the sentences. It answers with one of them, or
    the beginning of one, or nothing; it cannot hear anything else. That finds wrong, foreign, broken-off and drowned
    speech, but forgives much that Whisper would not: a check for tests and a few hundred sentences. What it hears does
    not depend on what it heard before.
    """

    stand_in: ClassVar[bool] = True

    _PAUSE = int(0.3 * SAMPLE_RATE_HZ)  # without a pause before them it loses first words

    def __init__(self, sentences: Iterable[str]) -> None:
        """Build the grammar of `sentences`: all that may be said, in written or spoken form.

        Sentences with words that the dictionary lacks are left out. Raises RecogniserError if the package is absent, or
        no sentence remains.
        """
        try:
            package: Any = importlib.import_module('pocketsphinx')
        except ImportError:
            raise RecogniserError('The package pocketsphinx was not found; pip install pocketsphinx.') from None
        # Wide beams, because espeak-ng is far from the voices that the model knows.
        wide = {'beam': 1e-80, 'wbeam': 1e-60, 'pbeam': 1e-80, 'maxhmmpf': -1}
        self._decoder = package.Decoder(
            package.Config(samprate=SAMPLE_RATE_HZ, lm=None, cmn='batch', bestpath=False, loglevel='FATAL', **wide)
        )
        given = sorted(set(sentences))
        lines = sorted({_words(sentence) for sentence in given if self.knows(sentence, 'en')})
        if not lines:
            raise RecogniserError(
                f'pocketsphinx needs sentences made of words in the CMU dictionary, and there are none in {given[:3]}; '
                'use a Whisper.'
            )
        # Any beginning of a sentence is allowed too: otherwise speech that breaks off is completed by the search.
        beginnings = ' | '.join(' [ '.join(line.split()) + ' ]' * line.count(' ') for line in lines)
        self._decoder.add_jsgf_string('corpus', f'#JSGF V1.0;\ngrammar corpus;\npublic <said> = {beginnings};\n')
        self._decoder.activate_search('corpus')

    def knows(self, text: str, language: str) -> bool:
        """Return True for English of which every word is in the dictionary."""
        words = _words(text).split()
        return language == 'en' and bool(words) and all(self._decoder.lookup_word(word) is not None for word in words)

    def transcribe(self, samples: Samples, language: str) -> Transcript:
        """Return the transcript of float32 [n] at 16 kHz in lower-case words, with their times.

        Raises RecogniserError for another language than English.
        """
        if language != 'en':
            raise RecogniserError(f'pocketsphinx has English only and was given {language!r}; use a Whisper.')
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < 1e-3:  # silence, for which the search would still find a likeliest word
            return Transcript('')
        heard = np.pad(samples * (0.5 / peak), self._PAUSE)
        dither = random_stream(Purpose.RECOGNISER_DITHER, None)
        heard += dither.normal(0.0, 1e-4, len(heard))  # digital silence has no spectrum to normalise
        self._decoder.start_utt()
        self._decoder.process_raw(encode_s16le(heard), full_utt=True)
        self._decoder.end_utt()
        best = self._decoder.hyp()
        if best is None:
            return Transcript('')
        pause_s = self._PAUSE / SAMPLE_RATE_HZ
        words = tuple(
            # A second pronunciation is called 'the(2)'; silence and noise stand in angle brackets or parentheses.
            (part.word.partition('(')[0], part.start_frame / 100 - pause_s, (part.end_frame + 1) / 100 - pause_s)
            for part in self._decoder.seg()
            if part.word[0] not in '<(['
        )
        return Transcript(str(best.hypstr), words)


def _words(sentence: str) -> str:
    return ' '.join(re.findall(r"[a-z]+(?:'[a-z]+)*", rewrite(sentence, 'en').text.lower()))
