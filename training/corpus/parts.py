"""The parts of a corpus as a recipe names them: which of them stand in for the paper's, and what is missing.

A class that stands in for a part of the paper's pipeline says so by its `stand_in`. A recipe with `stand_ins: refused`
is not built with any, and that is said of all of them before anything is made.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from training.corpus.recipe import CorpusRecipe
from training.errors import BuildError
from training.scenes.audit import LlmAuditor, RuleAuditor
from training.scenes.generation import ELEVENLABS_KEY, AudioXGenerator, ElevenLabsGenerator, ProceduralGenerator
from training.scenes.grammar import Grammar
from training.scenes.planner import LlmPlanner
from training.scenes.retrieval import ClapRetriever, TextIndex
from training.scenes.review import LlmReviewer, TemplateReviewer
from training.scenes.verifier import LlmVerifier, RuleVerifier
from training.speech.asr import FasterWhisper, Pocketsphinx, TransformersWhisper
from training.speech.espeak import Speaker
from training.speech.kokoro import KokoroTts
from training.speech.spoken import make_tts
from training.speech.tts import CosyVoiceTts, EspeakTts, PiperTts

# The sources of paper Table 9 and how many items it takes of each, over all of a source's rows.
TABLE_9 = {
    'commonvoice': 62_354,
    'gigaspeech': 86_740,
    'librispeech': 81_647,
    'voxpopuli': 39_746,
    'covost2-en-zh': 198_942,
    'covost2-zh-en': 16_826,
    'aishell': 141_246,
    'fma': 75_501,
    'audioset': 434_220,
    'moss': 392_198,
    'gammacorpus-fact-qa': 147_253,
    'musan': 1_896,
    'wham': 13_425,
    'dns': 14_328,
    'ultrachat': 156_732,
    'magpie-pro': 167_324,
    'du-qa': 14_308,
    'coig-cqia': 34_274,
    'web-qa': 5_892,
    'belle': 108_173,
}
FEWEST_VOICES = 10  # of a language: one in ten is for validation, and one for test


class _Declares(Protocol):
    stand_in: ClassVar[bool]


_ENGINES: dict[str, type[_Declares]] = {
    'espeak': EspeakTts,
    'kokoro': KokoroTts,
    'piper': PiperTts,
    'cosyvoice': CosyVoiceTts,
}
_CHECKS: dict[str, type[_Declares]] = {
    'pocketsphinx': Pocketsphinx,
    'whisper': TransformersWhisper,
    'faster-whisper': FasterWhisper,
}
_RETRIEVERS: dict[str, type[_Declares]] = {'text': TextIndex, 'clap': ClapRetriever}
_VERIFIERS: dict[str, type[_Declares]] = {'rules': RuleVerifier, 'llm': LlmVerifier}
_GENERATORS: dict[str, type[_Declares]] = {
    'audiox': AudioXGenerator,
    'elevenlabs': ElevenLabsGenerator,
    'procedural': ProceduralGenerator,
}
_ROLES: tuple[tuple[str, type[_Declares], type[_Declares], str], ...] = (
    ('planner', Grammar, LlmPlanner, 'the grammar'),
    ('silence audit', RuleAuditor, LlmAuditor, 'the rules'),
    ('history review', TemplateReviewer, LlmReviewer, 'templates'),
)
_CONNECT_S = 3.0


@dataclass(frozen=True)
class StandIn:
    """A `StandIn` is a part that is not the paper's, or is not there."""

    part: str
    found: str
    expected: str
    cure: str

    def __str__(self) -> str:
        return f'{self.part}: {self.found} found, {self.expected} expected; {self.cure}'


def stand_ins(recipe: CorpusRecipe, sources: Collection[str]) -> list[StandIn]:
    """Return every part of a recipe that stands in for the paper's, given the names of the `sources` at hand.

    Servers are asked for a connection, and nothing else.
    """
    return [*_speech(recipe), *_chat_model(recipe), *_selection(recipe), *_composition(recipe), *_data(recipe, sources)]


def require_parts(recipe: CorpusRecipe, sources: Collection[str]) -> None:
    """Raise BuildError where the recipe refuses stand-ins and has some: a sentence for each."""
    if recipe.stand_ins == 'refused' and (found := stand_ins(recipe, sources)):
        each = '\n  '.join(map(str, found))
        raise BuildError(
            f"{len(found)} of the recipe's parts are not those of the paper; mend each, or set stand_ins: allowed"
            f'\n  {each}'
        )


def _speech(recipe: CorpusRecipe) -> list[StandIn]:
    speech, found = recipe.speech, list[StandIn]()
    if _ENGINES[speech.engine].stand_in:
        cure = 'set speech.engine: cosyvoice, its cosyvoice_url and cosyvoice_speakers'
        found.append(StandIn('voices', speech.engine, 'CosyVoice with a pool of voices', cure))
    else:
        tts = make_tts(speech, Speaker(), 0)
        sides = ('train', 'validation', 'test')
        pools = {name: sum(len(tts.voices(code, side)) for side in sides) for name, code in _LANGUAGES}
        if few := {name: count for name, count in pools.items() if count < FEWEST_VOICES}:
            counts = ' and '.join(f'{count} in {name}' for name, count in few.items())
            cure = "set speech.cosyvoice_speakers to the names of your server's voices"
            found.append(StandIn('voices', counts, f'{FEWEST_VOICES} or more', cure))
        found += _server('voices', speech.cosyvoice_url, 'CosyVoice', 'speech.cosyvoice_url')
    if speech.check == 'none' or _CHECKS[speech.check].stand_in:
        cure = 'set speech.check: whisper, and the model as speech.whisper'
        found.append(StandIn('check of speech', speech.check, 'Whisper', cure))
    if speech.rewriter == 'rules':
        cure = 'set speech.rewriter: llm'
        found.append(StandIn('rewriter for speech', 'the rules', 'the chat model', cure))
    return found


_LANGUAGES = (('english', 'en'), ('chinese', 'zh'))


def _chat_model(recipe: CorpusRecipe) -> list[StandIn]:
    if recipe.llm is not None:
        return _server('chat model', recipe.llm.base_url, 'an OpenAI-compatible server', 'llm.base_url')
    cure = 'set llm, with base_url, model and cache'
    return [
        *(
            StandIn(role, by_rules, 'the chat model', cure)
            for role, without, with_model, by_rules in _ROLES
            if without.stand_in and not with_model.stand_in
        ),
        StandIn('writer of texts', 'templates', 'the chat model', cure),
    ]


def _selection(recipe: CorpusRecipe) -> list[StandIn]:
    selection, found = recipe.selection, list[StandIn]()
    if recipe.scenes != 'curated':
        found.append(StandIn('event selection', 'sounds at random', 'scenes', 'set scenes: curated'))
    if _RETRIEVERS[selection.retrieval].stand_in:
        cure = 'set selection.retrieval: clap, and its folder as selection.clap'
        found.append(StandIn('retrieval', 'words against captions', 'CLAP', cure))
    elif not (selection.clap / 'config.json').is_file():
        cure = 'save a ClapModel and its ClapProcessor there, or set selection.clap'
        found.append(StandIn('retrieval', f"no CLAP in '{selection.clap}'", 'one', cure))
    if _VERIFIERS[selection.verifier].stand_in:
        found.append(StandIn('verifier', 'the rules', 'the chat model', 'set selection.verifier: llm'))
    if not selection.accepted:
        cure = 'set selection.accepted: true'
        found.append(StandIn('mixed sounds', 'beginnings of clips', 'what the verifier accepted', cure))
    if all(_GENERATORS[name].stand_in for name in selection.generators):
        made_by = ', '.join(selection.generators) or 'no generator'
        cure = 'set selection.generators: [audiox, procedural] and selection.audiox_url'
        found.append(StandIn('generator', made_by, 'AudioX or ElevenLabs', cure))
    if 'audiox' in selection.generators:
        found += _server('generator', selection.audiox_url, 'AudioX', 'selection.audiox_url')
    if 'elevenlabs' in selection.generators and not os.environ.get(ELEVENLABS_KEY):
        cure = f'set {ELEVENLABS_KEY} in the environment'
        found.append(StandIn('generator', 'no key of ElevenLabs', 'one', cure))
    return found


def _composition(recipe: CorpusRecipe) -> list[StandIn]:
    found = []
    if recipe.procedural == 'library':
        cure = 'set procedural: fallback'
        found.append(StandIn('sounds', 'procedural ones beside the recordings', 'recordings that are retrieved', cure))
    if recipe.performance.tfjp is None:
        found.append(StandIn('preprocessing', 'none', 'TFJP', 'set performance.tfjp'))
    if recipe.rounds is None:
        found.append(StandIn('rounds', 'one ability a stream', '3 to 15 of several', 'set rounds: [3, 15]'))
    if not recipe.layered:
        cure = 'set layered: 1.0'
        found.append(StandIn('scenes', 'those beneath warnings alone', 'some beneath every ability', cure))
    return found


def _data(recipe: CorpusRecipe, sources: Collection[str]) -> list[StandIn]:
    found = []
    if missing := [name for name in TABLE_9 if name not in sources]:
        there = ', '.join(name for name in TABLE_9 if name in sources) or 'none'
        cure = f'give --source NAME=DIR for {", ".join(missing)}'
        found.append(StandIn('sources', there, f'all {len(TABLE_9)} of Table 9', cure))
    if missing := [name for name in TABLE_9 if name not in recipe.quotas]:
        cure = f'set quotas: {{{", ".join(f"{name}: {TABLE_9[name]}" for name in missing)}}}'
        found.append(StandIn('quotas', f'{len(TABLE_9) - len(missing)}', 'one for every source of Table 9', cure))
    return found


def _server(part: str, url: str, what: str, setting: str) -> list[StandIn]:
    """Return what is missing where nothing takes a connection at the address of a server."""
    address = urlsplit(url)
    try:
        port = address.port or (443 if address.scheme == 'https' else 80)
        socket.create_connection((address.hostname or '', port), timeout=_CONNECT_S).close()
    except (OSError, ValueError):
        return [StandIn(part, f"nothing that answers at '{url}'", what, f'start it there, or set {setting}')]
    return []
