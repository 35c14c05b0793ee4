"""The speech step of `corpus build` renders and checks every sentence once in each voice that scripts need it in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.clips.store import StoredClip, part_done, write_part
from training.files import json_lines, write_whole
from training.speech.asr import FasterWhisper, Pocketsphinx, Recogniser, TransformersWhisper
from training.speech.casting import utterance_id
from training.speech.chain import ChainSettings, SpeechChain, SpeechDecision, Utterance
from training.speech.espeak import Speaker
from training.speech.kokoro import KokoroTts
from training.speech.normalise.spoken_form import Language
from training.speech.rewriting import Forms, rewriter_of
from training.speech.tts import CosyVoiceTts, EspeakTts, PiperTts, TextToSpeech, TtsBeside

SENTENCES_A_PART = 256
SPEECH, DECISIONS = 'library/speech', 'library/speech-decisions'  # folders of a corpus


class SpeechSettings(ChainSettings):
    """These settings say who speaks, who listens, and how strict the check is (B.4)."""

    engine: Literal['espeak', 'kokoro', 'piper', 'cosyvoice'] = 'espeak'
    kokoro: Path = Field(default=Path('parts/kokoro-82m'), description='what `training parts kokoro-82m` wrote')
    kokoro_voices: int = Field(default=300, ge=30, description='speakers of Kokoro, a tenth for each held-out side')
    piper_voices: tuple[Path, ...] = Field(
        default=(), description='voices of Piper: .onnx files, each with its .onnx.json beside it'
    )
    piper_program: str = 'piper'
    cosyvoice_url: str = Field(
        default='', description='address of a running CosyVoice server, such as http://localhost:50000'
    )
    cosyvoice_speakers: dict[str, tuple[str, ...]] | None = Field(
        default=None,
        description="speakers of CosyVoice by language, 'en' and 'zh'; null for those of CosyVoice-300M-SFT",
    )
    rewriter: Literal['rules', 'llm'] = Field(
        default='rules', description='who makes a text sayable; llm: the chat model of `llm` (Figure 16)'
    )
    check: Literal['none', 'pocketsphinx', 'whisper', 'faster-whisper'] = 'none'
    whisper: str = Field(
        default='',
        description='Whisper model: a name on the hub, a size or a folder such as parts/whisper-base; empty for '
        'whisper-small',
    )

    @model_validator(mode='after')
    def _engine_has_what_it_needs(self) -> SpeechSettings:
        if self.engine == 'piper' and not self.piper_voices:
            raise ValueError('engine piper needs piper_voices, the .onnx files of downloaded voices')
        if self.engine == 'cosyvoice' and not self.cosyvoice_url:
            raise ValueError('engine cosyvoice needs cosyvoice_url, the address of a running server')
        return self


@dataclass(frozen=True)
class Sentence:
    """A `Sentence` is what is to be said by whom.

    `split` is the side that it is on.
    """

    text: str
    language: Language
    voice: str
    split: str

    @property
    def id(self) -> str:
        """Return the library's name for the sentence in its voice."""
        return utterance_id(self.text, self.voice)


@dataclass(frozen=True)
class SpeechPart:
    """A `SpeechPart` is sentences in voices that are rendered by one job.

    `vocabulary` holds every English sentence of the corpus, for a recogniser that must be told; it is empty for the
    others. `forms` are the spoken forms of its sentences that a chat model wrote.
    """

    corpus: Path
    name: str
    settings: SpeechSettings
    seed: int
    sentences: tuple[Sentence, ...]
    vocabulary: tuple[str, ...]
    forms: Forms = field(default_factory=dict)

    @property
    def decisions(self) -> Path:
        """Return the file of what was decided about the sentences: JSON lines."""
        return self.corpus / DECISIONS / f'{self.name}.jsonl'

    @property
    def out(self) -> Path:
        """Return the folder of the rendered clips."""
        return self.corpus / SPEECH / self.name


def make_tts(settings: SpeechSettings, speaker: Speaker, seed: int) -> TextToSpeech:
    """Return the engine of a recipe; `speaker` is what espeak-ng speaks through, `seed` the corpus'.

    Kokoro's languages are few; the others are espeak-ng's. Raises SpeechError where what it needs is missing.
    """
    if settings.engine == 'kokoro':
        return TtsBeside(KokoroTts(settings.kokoro, settings.kokoro_voices, seed), EspeakTts(speaker))
    if settings.engine == 'piper':
        return PiperTts(settings.piper_voices, settings.piper_program)
    if settings.engine == 'cosyvoice':
        return CosyVoiceTts(settings.cosyvoice_url, settings.cosyvoice_speakers)
    return EspeakTts(speaker)


@lru_cache(maxsize=1)
def make_recogniser(check: str, whisper: str, vocabulary: tuple[str, ...]) -> Recogniser | None:
    """Return the recogniser of a recipe, None for the check 'none'; it is made once a process.

    Raises RecogniserError.
    """
    if check == 'pocketsphinx':
        return Pocketsphinx(vocabulary)
    if check == 'whisper':
        return TransformersWhisper(whisper or 'openai/whisper-small')
    if check == 'faster-whisper':
        return FasterWhisper(whisper or 'small')
    return None


def require_speech(settings: SpeechSettings, seed: int) -> None:
    """Raise SpeechError or RecogniserError now where the engine or the recogniser of a recipe is missing.

    Else that is said when a library has been made.
    """
    make_tts(settings, Speaker(), seed)
    if settings.check in ('whisper', 'faster-whisper'):
        make_recogniser(settings.check, settings.whisper, ())


def speech_parts(
    sentences: Iterable[Sentence], settings: SpeechSettings, seed: int, corpus: Path, forms: Forms | None = None
) -> list[SpeechPart]:
    """Return each sentence once, in parts that depend on all of the sentences alone, not on their order.

    `forms` are what is said for them; those that are not there are rewritten by the rules.
    """
    rows = [sentence for _, sentence in sorted({sentence.id: sentence for sentence in sentences}.items())]
    vocabulary: tuple[str, ...] = ()
    if settings.check == 'pocketsphinx':
        vocabulary = tuple(sorted({sentence.text for sentence in rows if sentence.language == 'en'}))
    return [
        SpeechPart(
            corpus,
            f'{settings.engine}-{first:06d}',
            settings,
            seed,
            tuple(rows[first : first + SENTENCES_A_PART]),
            vocabulary,
            _forms_of(rows[first : first + SENTENCES_A_PART], forms or {}),
        )
        for first in range(0, len(rows), SENTENCES_A_PART)
    ]


def _forms_of(sentences: Iterable[Sentence], forms: Forms) -> Forms:
    keys = ((sentence.text, sentence.language) for sentence in sentences)
    return {key: forms[key] for key in keys if key in forms}


def make_speech(part: SpeechPart) -> int:
    """Write one part, unless it is there, and every decision about it.

    Return the number of clips that were written.
    """
    if part_done(part.out):
        return 0
    spoken = list(_spoken(part))
    rows = [{'id': sentence.id} | utterance.decision.model_dump() for sentence, utterance in spoken]
    write_whole(part.decisions, json_lines(rows))
    clips = ((_clip(s, u, part.settings), u.samples) for s, u in spoken if u.samples is not None)
    return write_part(part.out, clips)


def _spoken(part: SpeechPart) -> Iterator[tuple[Sentence, Utterance]]:
    recogniser = make_recogniser(part.settings.check, part.settings.whisper, part.vocabulary)
    with Speaker() as speaker:
        chain = SpeechChain(
            make_tts(part.settings, speaker, part.seed), recogniser, part.settings, part.seed, rewriter_of(part.forms)
        )
        for sentence in part.sentences:
            yield sentence, chain.say(sentence.text, sentence.language, sentence.voice)


def _clip(sentence: Sentence, utterance: Utterance, settings: SpeechSettings) -> StoredClip:
    engine = settings.engine
    if engine == 'kokoro' and not sentence.voice.startswith(KokoroTts.name):
        engine = 'espeak'  # which speaks what Kokoro cannot
    name = 'espeak-ng' if engine == 'espeak' else engine
    return StoredClip(
        id=sentence.id,
        kind='speech',
        category='speech',
        caption=sentence.text,
        respond=None,
        split=sentence.split,
        recording=f'{engine}:{sentence.voice}',
        source=name,
        source_id=sentence.voice,
        licence='Apache-2.0' if engine in ('espeak', 'kokoro') else 'that of the voice',
        attribution=f'{name} text-to-speech',
        words=utterance.words,
        phones=utterance.phones,
    )


class UnderstoodByVoice(BaseModel):
    """`UnderstoodByVoice` counts how well the recogniser followed one voice.

    `failed` is the share of `sentences` that were discarded, `failed_at_first` that of those whose first rendering was
    not understood.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    sentences: int
    failed_at_first: float
    failed: float


def understood_by_voice(corpus: Path) -> dict[str, UnderstoodByVoice]:
    """Return voice → how well the recogniser followed it, the worst first; empty where nothing could be judged."""
    judged: dict[str, list[SpeechDecision]] = defaultdict(list)
    for _, decision in read_decisions(corpus):
        if decision.verdict != 'unchecked' and decision.attempts:
            judged[decision.voice].append(decision)
    found = {
        voice: UnderstoodByVoice(
            sentences=len(of_voice),
            failed_at_first=round(
                sum(each.verdict == 'discarded' or len(each.attempts) > 1 for each in of_voice) / len(of_voice), 3
            ),
            failed=round(sum(each.verdict == 'discarded' for each in of_voice) / len(of_voice), 3),
        )
        for voice, of_voice in judged.items()
    }
    return dict(sorted(found.items(), key=lambda row: (-row[1].failed, -row[1].failed_at_first, row[0])))


def read_decisions(corpus: Path) -> Iterator[tuple[str, SpeechDecision]]:
    """Yield (utterance, what was decided about it) for all the speech of a corpus, in order."""
    for path in sorted((corpus / DECISIONS).glob('*.jsonl')):
        with path.open() as file:
            for line in file:
                row = json.loads(line)
                yield row.pop('id'), SpeechDecision.model_validate(row)


def count_decisions(corpus: Path) -> dict[str, int]:
    """Return how the speech of a corpus came about, as counts.

    They are verdicts, and as 'tried again' the sentences that took more than one rendering.
    """
    counts: Counter[str] = Counter()
    for _, decision in read_decisions(corpus):
        counts[decision.verdict] += 1
        counts['tried again'] += len(decision.attempts) > 1
    return dict(sorted(counts.items()))
