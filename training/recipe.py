"""Recipes: the YAML that makes a checkpoint, checked before hours are spent on it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.model.deciding import KINDS, Kind
from audio_interaction_ros.model.low_rank import LowRankSettings
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from training.corpus.recipe import CorpusRecipe
from training.recipe_file import RecipeError, check_recipe, read_recipe_file

STAGE_0 = 'encoder'  # the name of the stage that the paper does not have
WHISPER_PARTS = ('whisper-tiny', 'whisper-tiny.en', 'whisper-base', 'whisper-small')
TEXT_PARTS = ('smollm2-135m',)


class _Section(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class AudioShapes(AudioConfig):
    """The `audio` section has the encoder's shapes, under transformers' names."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    dropout: float = Field(default=0.0, ge=0, le=0, description='the tower has none')

    def config(self) -> AudioConfig:
        """Return the same as a checkpoint has it."""
        return AudioConfig(**self.model_dump())


class TextShapes(TextConfig):
    """The `text` section has the language model's shapes, under transformers' names."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    vocab_size: int | None = Field(default=None, ge=1, description="null: the tokenizer's")  # type: ignore[assignment]

    @model_validator(mode='before')
    @classmethod
    def _has_the_tokenizers_vocabulary(cls, data: Any) -> Any:
        return {'vocab_size': None} | data if isinstance(data, dict) else data

    def config(self, tokens: int) -> TextConfig:
        """Return the same as a checkpoint has it, for a tokenizer of so many tokens where no `vocab_size` is given."""
        return TextConfig(**(self.model_dump() | {'vocab_size': self.vocab_size or tokens}))


class ListeningStage(_Section):
    """Stage 0 teaches the encoder sounds and phonemes in 2-second crops, and a pretrained one to hear by chunks."""

    steps: int = Field(ge=1)
    batch: int = Field(ge=1, description='crops of sounds a step')
    speech_batch: int = Field(ge=0, description='crops of speech a step, beside those')
    mixed_share: float = Field(ge=0, le=1, description='share of between-class mixtures in a batch')
    learning_rate: float = Field(gt=0)
    head_steps: int = Field(
        default=0,
        ge=0,
        description='before the first and after the last, in which projection and heads alone learn from `head_crops`',
    )
    head_crops: int = Field(
        default=0,
        ge=0,
        description='for those; what the projection is given of them is kept in memory, two bytes a number',
    )
    tower_rate: float = Field(
        default=1.0, ge=0, description='that of projection and last layer, as a share of it; 0: the tower stays as is'
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description='learning rate of a layer, as a share of that of the one above'
    )
    teacher_weight: float = Field(
        default=0.0, ge=0, description='of being like what `init` makes of the whole crop at once, without the noise'
    )
    weight_decay: float = Field(ge=0)
    probe_clips: int = Field(
        default=0, ge=0, description='recordings of each side for the linear probe of every validation; 0: no probe'
    )


class _ByKind(_Section):
    """One number for each kind of response."""

    @property
    def by_kind(self) -> dict[Kind, float]:
        """Return the number of each kind."""
        return {kind: getattr(self, kind) for kind in KINDS}


class EventShares(_ByKind):
    """Event shares say of each kind of response how much of the log-odds of P(response) is to be the event head's.

    They are not chosen on the validation side: few recordings are there, and those are dense streams in which the
    language model knows best when it has said enough.
    """

    warning: float = Field(default=0.5, ge=0, le=1)
    remark: float = Field(default=0.5, ge=0, le=1)
    asked: float = Field(default=0.25, ge=0, le=1)


class EventHeadStage(_Section):
    """The event head learns, once all stages are through, to name sounds by the encoder alone."""

    streams: int = Field(ge=1, description='streams of one sound each, most of them at another speed and elsewhere')
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    shares: EventShares = EventShares()


TrainablePart = Literal[
    'lm_head', 'new_token_lm_head', 'embeddings', 'new_token_embeddings', 'adapter', 'language_model', 'encoder'
]
UpdatedPart = Literal['encoder', 'language_model']


class _Updates(_Section):
    rank: int = Field(ge=1)
    alpha: int = Field(ge=1, description='what is added to a matrix is alpha / rank times the product of two')

    def settings(self) -> LowRankSettings:
        """Return the same under PEFT's names."""
        return LowRankSettings(r=self.rank, lora_alpha=self.alpha, target_modules=self.matrices)  # type: ignore[attr-defined]


class EncoderUpdates(_Updates):
    """The encoder's updates are of all its layers."""

    matrices: tuple[Literal['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'], ...] = Field(
        default=('q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'), min_length=1
    )


class LanguageUpdates(_Updates):
    """The language model's updates are of all its layers."""

    matrices: tuple[Literal['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'], ...] = Field(
        default=('q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'), min_length=1
    )


class LowRank(_Section):
    """Low-rank updates learn in place of a part that stages name, which stays as it began (Hu et al., 2021)."""

    encoder: EncoderUpdates | None = None
    language_model: LanguageUpdates | None = None

    @property
    def parts(self) -> dict[UpdatedPart, EncoderUpdates | LanguageUpdates]:
        """Return the parts that have updates."""
        found: dict[UpdatedPart, EncoderUpdates | LanguageUpdates] = {}
        if self.encoder is not None:
            found['encoder'] = self.encoder
        if self.language_model is not None:
            found['language_model'] = self.language_model
        return found


class StageData(_Section):
    """The `data` section of a stage says which streams of the corpus it reads, and how."""

    categories: tuple[str, ...] = Field(default=(), description='of the seven abilities; empty: all of them')
    form: Literal['offline', 'online'] = Field(
        description='offline: up to the first reply, decided once; online: whole streams, decided at every drain'
    )
    mix_ins: bool = Field(
        default=True, description='also what was mixed into the streams; false: each up to the first of it'
    )
    silent_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description='of the streams in the offline form: decided on before their first reply, where silence is right',
    )
    late_share: float = Field(
        default=0.0, ge=0, le=1, description='of the replies to train on: given one to three drains after their moment'
    )
    noise_share: float = Field(
        default=0.0, ge=0, le=1, description='of the streams to train on: with stationary noise added'
    )
    quiet_share: float = Field(
        default=0.0, ge=0, le=1, description='of the streams to train on: after a long quiet, and with an earlier end'
    )
    slip_share: float = Field(
        default=0.0, ge=0, le=1, description='of the streams to train on: with a foreign reply in their history'
    )

    @model_validator(mode='after')
    def _quiet_is_decided_on(self) -> StageData:
        if self.quiet_share and self.form == 'offline':
            raise ValueError('quiet_share is of whole streams; take it out, or set form: online')
        if self.silent_share and self.form == 'online':
            raise ValueError('silent_share is of the offline form, whole streams have silence; take it out')
        return self


class HardStreams(_Section):
    """Hard streams are those of the training side at which the network speaks where silence is right."""

    share: float = Field(gt=0, lt=1, description='of the streams of a step, once some were found')
    every: int = Field(ge=1, description='steps after which they are looked for again')
    sample: int = Field(ge=1, description='streams that are listened to for it, those found the last time among them')


WORDS = '{words}'


class TextTeacher(_Section):
    """The text teacher is the language model as the run found it, without its updates, which reads what others hear."""

    weight: float = Field(gt=0, description='of the divergence from it, at the tokens of a reply to written words')
    request: str = Field(description="the model's own form of a request, up to its reply; {words} are what was said")

    @model_validator(mode='after')
    def _has_the_words(self) -> TextTeacher:
        if self.request.count(WORDS) != 1:
            raise ValueError(f"request is '{self.request}'; write {WORDS}, once, where the words belong")
        return self


class Stage(_Section):
    """A `Stage` is one of the four of the paper (B.2, Table 11), or of a recipe that goes on from a checkpoint."""

    name: str = Field(pattern=r'^[a-z][a-z0-9-]*$')
    trainable: tuple[TrainablePart, ...] = Field(min_length=1)
    data: StageData
    steps: int = Field(ge=1, description='of the optimiser')
    batch: int = Field(ge=1, description='streams on one device at a time')
    accumulation: int = Field(default=1, ge=1, description='batches a step, on as many devices as the recipe names')
    learning_rate: float = Field(gt=0)
    stream_weight: float = Field(default=1.0, ge=0, description='λ')
    response_weight: float = Field(default=1.0, gt=0, description='of `response` against `silent` in L_stream')
    event_weight: float = Field(default=0.0, ge=0, description='of the auxiliary loss that names what is sounding')
    spec_augment: bool = Field(
        default=False, description='mask bands and moments of what the encoder hears, through another microphone'
    )

    hard: HardStreams | None = Field(default=None, description='what the network gets wrong is drawn more often')
    text_teacher: TextTeacher | None = Field(
        default=None, description="keeps the language model's updates from moving what it says to written words"
    )

    @model_validator(mode='after')
    def _hard_streams_are_whole(self) -> Stage:
        if self.hard is not None and self.data.form == 'offline':
            raise ValueError(f"stage '{self.name}': hard streams are whole ones; take hard out, or set form: online")
        return self

    @model_validator(mode='after')
    def _one_kind_of_embeddings(self) -> Stage:
        for rows, whole in (('new_token_embeddings', 'embeddings'), ('new_token_lm_head', 'lm_head')):
            if rows in self.trainable and whole in self.trainable:
                raise ValueError(f"stage '{self.name}': {rows} are part of what else it trains; name one")
        return self


class Optimiser(_Section):
    """The optimiser is AdamW with linear warm-up and cosine decay to nothing (Table 11)."""

    beta1: float = Field(default=0.9, gt=0, lt=1)
    beta2: float = Field(default=0.95, gt=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.01, ge=0, description='of matrices; gains and biases are left alone')
    warm_up: float = Field(default=0.03, ge=0, lt=1, description='share of the steps')
    max_gradient_norm: float = Field(default=1.0, gt=0)
    gradient_checkpointing: bool = False

    def rate(self, highest: float, steps: int, step: int) -> float:
        """Return the learning rate of one of so many steps: linear warm-up, then cosine decay to nothing (Table 11)."""
        warm_up = round(self.warm_up * steps)
        if step < warm_up:
            return highest * (step + 1) / warm_up
        return highest * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


class Generated(_Section):
    """A generated evaluation has the network hear streams of the validation side as a robot does, and speak."""

    every: int = Field(ge=1, description='steps of an online stage after which it is done, and after its last')
    streams: int = Field(default=64, ge=1, description='always the same ones; the processes share them')


class FalseResponses(_ByKind):
    """A `FalseResponses` says how many false responses of each kind an hour may have."""

    warning: float = Field(ge=0, description='urgent warnings')
    remark: float = Field(ge=0, description='other remarks that nobody asked for')
    asked: float = Field(ge=0, description='answers to what was not meant for the robot, and all else')


def _number_or_table(said: Any) -> str:
    return 'by kind' if isinstance(said, dict | FalseResponses) else 'one number'


class TrainingRecipe(_Section):
    """A `TrainingRecipe` holds everything that a checkpoint depends on besides the corpus."""

    name: str
    seed: int = Field(ge=0)
    instruction: str = Field(description='what stands before a stream whose script gives no instruction of its own')
    vocabulary_size: int | None = Field(
        default=None, ge=300, description='learnt from the corpus; null: the tokenizer of the checkpoint to start from'
    )
    audio: AudioShapes
    text: TextShapes
    init: str | None = Field(
        default=None, description='the audio tower to start from: a name of WHISPER_PARTS, or a directory'
    )
    text_init: str | None = Field(
        default=None,
        description='the language model to start from, tokenizer and all: a name of TEXT_PARTS, or a directory',
    )
    log_mel: Literal['fixed', 'running_maximum'] = Field(
        default='fixed', description="running_maximum for an encoder that was trained on Whisper's spectrogram"
    )
    low_rank: LowRank = Field(default=LowRank(), description='which parts learn by low-rank updates alone')
    frozen_in_bfloat16: bool = Field(
        default=False,
        description='where a CPU has bfloat16 products, weights that a stage does not train are kept in it: the audio '
        'tower, and the matrices that have updates',
    )
    attention: Literal['fused', 'blocks'] = Field(
        default='fused',
        description="of the language model, on CPUs: PyTorch's kernel, or products by blocks of queries, which are "
        'faster for long streams of a wide one',
    )
    change: bool = Field(
        default=False,
        description='write, in the folder change of the checkpoint, what the run changed of init and text_init',
    )
    chunk_ms: int = Field(
        default=400, gt=0, multiple_of=40, description="c; other lengths than the runtime's only where `ablate` asks"
    )
    max_positions: int = Field(default=1_536, ge=64, description='tokens and vectors of a stream; longer: left out')
    devices: int = Field(default=1, ge=1, description='that `accumulation` is meant for; other numbers divide the same')
    optimiser: Optimiser = Optimiser()
    encoder: ListeningStage | None = Field(default=None, description='stage 0, before the language model')
    stages: tuple[Stage, ...] = Field(min_length=1, description='four from nothing; fewer go on from a checkpoint')
    event_head: EventHeadStage | None = Field(default=None, description='named sounds in the checkpoint; null: none')
    false_responses_per_hour: Annotated[
        Annotated[float, Field(ge=0), Tag('one number')] | Annotated[FalseResponses, Tag('by kind')],
        Discriminator(_number_or_table),
    ] = Field(
        default=40.0,
        description='on the validation side, by which the response threshold is chosen, or one for each kind of '
        'response. Its streams are dense: an hour of them holds what happens in many hours of a household',
    )
    second_look: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description='share of those false responses that may come of two decisions running, neither sure enough alone',
    )
    warnings_given_up: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description='share of the urgent warnings due on the validation side that may be held back because the event '
        'head hears nothing to warn of; 0: it is not asked',
    )
    weights: Literal['float32', 'float16'] = Field(
        default='float32',
        description='how the checkpoint stores matrices: half the size; norms and biases stay, and so all is computed '
        'in float32',
    )
    validation_streams: int = Field(default=200, ge=1, description='at most so many of the validation side')
    generated: Generated | None = Field(default=None, description='generated evaluation; null: none')
    keep: Literal['last', 'best'] = Field(
        default='last',
        description='the weights an online stage hands on: its last, or those of the best score',
    )
    validate_every: int = Field(default=200, ge=1, description='steps')
    save_every_minutes: float = Field(default=2.0, ge=0)
    streams_corpus: CorpusRecipe = Field(default=CorpusRecipe(), description='what `corpus build` is to make')

    @model_validator(mode='after')
    def _best_is_heard(self) -> TrainingRecipe:
        if self.keep == 'best' and self.generated is None:
            raise ValueError('keep is best and there is no generated evaluation to tell; give generated, or keep: last')
        return self

    @model_validator(mode='after')
    def _numbers_fit(self) -> TrainingRecipe:
        if self.audio.n_window != self.chunk_ms // 20:  # half of its log-mel frames, which are 10 ms apart
            raise ValueError(
                f'audio.n_window is {self.audio.n_window} and chunk_ms {self.chunk_ms}; '
                f'the encoder of such chunks has n_window {self.chunk_ms // 20}, give that'
            )
        if self.audio.output_dim != self.text.hidden_size:
            raise ValueError('audio.output_dim and text.hidden_size differ; vectors take the place of embeddings')
        if self.init is not None and self.log_mel != 'running_maximum':
            raise ValueError(
                f"init is '{self.init}' and log_mel is {self.log_mel}; such towers were trained on Whisper's log-mel, "
                'give log_mel: running_maximum'
            )
        if self.change and (self.init is None or self.text_init is None):
            raise ValueError('change is of base weights, and init and text_init name them; give both, or leave it out')
        if self.text_init is not None and self.vocabulary_size is not None:
            raise ValueError(
                f"text_init is '{self.text_init}', which has a tokenizer, and vocabulary_size asks for another; "
                'take one of them out'
            )
        for stage in self.stages:
            heads = [part for part in ('lm_head', 'new_token_lm_head') if part in stage.trainable]
            if self.text.tie_word_embeddings and heads:
                raise ValueError(
                    f'text.tie_word_embeddings makes LM head and embeddings one, and a stage trains {heads[0]}; name '
                    'embeddings or new_token_embeddings there, or set it to false'
                )
            rows = [part for part in ('new_token_embeddings', 'new_token_lm_head') if part in stage.trainable]
            if rows and 'language_model' in stage.trainable and self.low_rank.language_model is None:
                raise ValueError(f"stage '{stage.name}': {rows[0]} are part of what else it trains; name one")
            if stage.text_teacher and ('language_model' not in stage.trainable or self.low_rank.language_model is None):
                raise ValueError(
                    f"stage '{stage.name}': text_teacher is the language model without its updates; train "
                    'language_model with low_rank.language_model, or take text_teacher out'
                )
        for part in self.low_rank.parts:
            by_stage_0 = part == 'encoder' and self.encoder is not None and self.encoder.tower_rate > 0
            if not by_stage_0 and not any(part in stage.trainable for stage in self.stages):
                raise ValueError(f'low_rank.{part}: no stage trains such updates; name {part} in one, or take it out')
        if self.init is None and self.encoder is not None and self.encoder.teacher_weight:
            raise ValueError('encoder.teacher_weight needs a teacher, the tower that init names; give init, or 0')
        if self.encoder is not None and bool(self.encoder.head_steps) != bool(self.encoder.head_crops):
            raise ValueError(
                'encoder.head_steps and encoder.head_crops go together; give both, or neither for heads that '
                'learn with the tower alone'
            )
        by_events = isinstance(self.false_responses_per_hour, FalseResponses) or self.warnings_given_up
        if by_events and self.event_head is None:
            raise ValueError(
                'false_responses_per_hour by kind and warnings_given_up need the event head; give event_head, or '
                'one number for all kinds and no warnings_given_up'
            )
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names) or STAGE_0 in names:
            raise ValueError(f"stages {names}: give each a name of its own, and none '{STAGE_0}', which is stage 0")
        return self

    @property
    def chunk_samples(self) -> int:
        """Return the length of a chunk in samples at 16 kHz."""
        return self.chunk_ms * SAMPLE_RATE_HZ // 1_000

    @property
    def chunk_s(self) -> float:
        """Return the length of a chunk, c, in seconds."""
        return self.chunk_ms / 1_000

    def stage_name(self, number: int) -> str:
        """Return the name of a stage, counted from 1; 0 is stage 0."""
        return self.stages[number - 1].name if number else STAGE_0

    def streams_a_step(self, stage: Stage) -> int:
        """Return the effective batch of Table 11: the same however many devices there are."""
        return stage.batch * stage.accumulation * self.devices

    def accumulation_on(self, stage: Stage, devices: int) -> int:
        """Return how many batches each of `devices` runs a step. Raises RecipeError where they do not divide."""
        whole = self.streams_a_step(stage)
        if whole % (stage.batch * devices):
            raise RecipeError(
                f"stage '{stage.name}': {whole} streams a step do not divide among {devices} processes with batches of "
                f'{stage.batch}; start a number of processes that divides {whole // stage.batch}, or change batch'
            )
        return whole // (stage.batch * devices)


def load_training_recipe(path: Path) -> TrainingRecipe:
    """Return the recipe of a file. Raises RecipeError: what is wrong, and where."""
    return check_recipe(TrainingRecipe, read_recipe_file(path), path)
