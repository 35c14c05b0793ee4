"""The parameters of every node: the one source of names, defaults, ranges and meanings.

`python -m audio_interaction_ros.nodes.parameters` prints the tables that docs/reference.md shows.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic.fields import FieldInfo

from audio_interaction_ros.audio.channels import ChannelChoice
from audio_interaction_ros.voice.quiet_hours import QuietHours

CHECKPOINT = (
    'Checkpoint directory, or `embedded` for the one that ships with the package; `chunk_encoder` and `decoder` need '
    'the same one.'
)
DEVICE = 'PyTorch device to compute on: `cpu`, `cuda`, `cuda:1` ….'
PRECISION = 'Number type to compute in: `stored` takes that of the checkpoint; or `float32`, `bfloat16`, `float16`.'
THREADS = 'Number of CPU threads for PyTorch; raise it only where one core cannot keep up.'
# Parameters that rclpy itself gives to every node.
_RCLPY_NAMES = ('use_sim_time', 'start_type_description_service')
_RCLPY_PREFIXES = ('qos_overrides.',)
_NAMESPACE = re.compile(r'[A-Za-z]\w*(/[A-Za-z]\w*)*', re.ASCII)


_LIVE: dict[str, JsonValue] = {'live': True}  # may be set while the node works


class ParameterError(ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class NodeParameters(BaseModel):
    """A `NodeParameters` holds what every node has."""

    model_config = ConfigDict(extra='forbid', frozen=True, strict=True)

    autostart: bool = Field(
        True, description='Configure and activate the node at start; false leaves that to a lifecycle manager.'
    )


class AudioCaptureParameters(NodeParameters):
    """An `AudioCaptureParameters` holds what audio_capture takes sound from, and whether it listens."""

    device: str | int = Field(
        '',
        description='Microphone to open: its name as `audio-interaction devices` lists it, or a part of it that no '
        "other has, or its index; empty takes the system's default. Another one is never taken in its place.",
    )
    file: str = Field('', description='A WAV or FLAC file to play once, in real time, in place of the microphone.')
    channels: str | int = Field(
        '',
        description='Channels to publish of a microphone with several: `0` is the first, `0,1` the first two, `mix` '
        'the average of all; empty asks the driver for one channel, or takes all where it cannot give one.',
    )
    echo: Literal['auto', 'cancel', 'cancelled', 'keep'] = Field(
        'auto',
        description="What becomes of the assistant's own voice in the sound of one channel: `cancel` takes it out "
        "(`pip install 'audio_interaction_ros[echo]'`), and then publishes 16 kHz; `auto` does so where that is "
        'installed; `cancelled` says that the microphone or the sound server does it; `keep` leaves it in. Where it is '
        'left in, what is heard while the assistant speaks is not remembered, nor answered but where it is urgent.',
    )
    block_ms: int = Field(
        40,
        ge=20,
        le=100,
        description='Length of the sound in one message, in milliseconds; raise it where the sound card loses sound.',
    )
    queue_max_blocks: int = Field(
        100,
        ge=2,
        le=1000,
        description='Most blocks of `block_ms` that wait to be published; at the limit the oldest is dropped and '
        'counted.',
    )
    frame_id: str = Field(
        'microphone',
        description="Name of the microphone's coordinate frame (tf), put into the header of every message.",
    )
    listening: bool = Field(
        True,
        description='Listen from the start; false keeps the microphone closed until the service `ai/set_listening` '
        'opens it (`docs/privacy.md`).',
    )
    listening_file: str = Field(
        '',
        description='File that remembers the off switch over crashes and restarts; once written it outweighs '
        '`listening`. Empty remembers nothing.',
    )

    @model_validator(mode='after')
    def _channels_are_numbers_or_mix(self) -> AudioCaptureParameters:
        ChannelChoice.parse(self.channels)
        return self


class ListenerParameters(NodeParameters):
    """A `ListenerParameters` holds what the nodes have that listen to the raw sound."""

    sample_rate: int = Field(
        0, ge=0, le=384_000,
        description='Sample rate, in Hz, of sound that comes without `audio_info`; 0 waits for `audio_info`, which '
        'always wins.',
    )  # fmt: skip
    channels: int = Field(
        1,
        ge=1,
        le=64,
        description='Number of channels of sound that comes without `audio_info`; unused at `sample_rate` 0.',
    )
    sample_format: str = Field(
        'S16LE',
        description='Sample format of sound that comes without `audio_info`: `S16LE`, `F32LE` …; unused at '
        '`sample_rate` 0.',
    )


class ChunkEncoderParameters(ListenerParameters):
    """A `ChunkEncoderParameters` holds what chunk_encoder computes with."""

    checkpoint: str = Field('embedded', description=CHECKPOINT)
    device: str = Field('cpu', description=DEVICE)
    precision: Literal['stored', 'float32', 'bfloat16', 'float16'] = Field('stored', description=PRECISION)
    queue_max_messages: int = Field(
        100,
        ge=2,
        le=1000,
        description='Most messages of sound that wait to be encoded; at the limit the oldest is dropped and counted.',
    )
    high_pass_hz: float = Field(
        0.0,
        ge=0.0,
        le=200.0,
        description='Remove what is below this frequency before the model, of first order; 2 cures a sound card that '
        'adds a constant (DC). 0 removes nothing, as the embedded checkpoint was trained.',
    )
    threads: int = Field(1, ge=1, le=64, description=THREADS)


class DecoderParameters(NodeParameters):
    """A `DecoderParameters` holds what decoder computes with, and when and how it responds."""

    checkpoint: str = Field('embedded', description=CHECKPOINT)
    device: str = Field('cpu', description=DEVICE)
    precision: Literal['stored', 'float32', 'bfloat16', 'float16', 'int8'] = Field(
        'stored', description=f'{PRECISION} `int8` takes weights of eight bits, and the rest as stored.'
    )
    response_threshold: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description='Respond where the model gives responding at least this probability, whatever it hears; raise it '
        "against false alarms. 0 takes the checkpoint's own, of which it may have one for each kind of response; any "
        'other number replaces all of them. An urgent warning must still agree with what the model hears, where the '
        'checkpoint asks for that.',
        json_schema_extra=_LIVE,
    )
    graphs: bool = Field(
        True,
        description='On a GPU, capture the forward passes as CUDA graphs, which is faster; false runs their kernels '
        'one by one.',
    )
    sources: list[str] = Field(
        [''],
        description='Namespaces to listen to, each with a context of its own: `left` hears `left/ai/embeddings` and '
        'answers on `left/ai/response`; an empty text is the node’s own namespace.',
    )
    rearm_below: float = Field(
        1.0, gt=0.0, le=1.0,
        description='After a response, hold the next one back until the probability of responding was as low as this; '
        'lower it where one sound is answered many times. 1 does not wait.',
        json_schema_extra=_LIVE,
    )  # fmt: skip
    instruction: str = Field(
        '',
        description="System instruction that tells the model what to do; empty takes the checkpoint's own. What comes "
        'on `ai/instruction` outweighs it.',
        json_schema_extra=_LIVE,
    )
    tools_file: str = Field(
        '',
        description='Tools that the model may call, a YAML file as `config/tools.yaml` (`docs/tools.md`); empty has '
        'none.',
    )
    tell_tools: bool = Field(
        True,
        description='Tell the model which tools there are, before all that it hears; false suits a checkpoint that was '
        'trained on calls without a list of tools.',
    )
    max_response_tokens: int = Field(
        64, ge=2, le=1024,
        description='Longest response, in tokens; at the limit it is ended as if it were complete.',
        json_schema_extra=_LIVE,
    )  # fmt: skip
    max_response_s: float = Field(
        30.0,
        gt=0.0,
        le=600.0,
        description='Longest time, in seconds, that one response may take to write; it is then cut short and marked '
        '`cancelled`.',
        json_schema_extra=_LIVE,
    )
    preempt: bool = Field(
        True,
        description='Cut a response short, marked `cancelled`, when what is heard meanwhile calls for an urgent one.',
        json_schema_extra=_LIVE,
    )
    temperature: float = Field(
        0.0,
        ge=0.0,
        le=2.0,
        description='Temperature of the words: 0 always writes the likeliest one, a higher number draws more freely.',
        json_schema_extra=_LIVE,
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description='Random seed of the words drawn where `temperature` is above 0; the same seed draws the same.',
        json_schema_extra=_LIVE,
    )
    queue_max_chunks: int = Field(
        25,
        ge=1,
        le=1000,
        description='Most chunks of 400 ms that wait to be decided on; at the limit the oldest is dropped and counted.',
        json_schema_extra=_LIVE,
    )
    max_questions: int = Field(
        4,
        ge=0,
        le=32,
        description='Most questions (`ai/ask`) that are open at a time, of all sources; more are refused and counted. '
        '0 answers none.',
        json_schema_extra=_LIVE,
    )
    max_question_s: float = Field(
        60.0,
        gt=0.0,
        le=600.0,
        description='Longest time, in seconds, from a question to the end of its answer; it then fails. Decisions come '
        'first, so that an answer takes longer where there is much to decide and to say.',
        json_schema_extra=_LIVE,
    )
    threads: int = Field(1, ge=1, le=64, description=THREADS)

    @model_validator(mode='after')
    def _sources_are_namespaces(self) -> DecoderParameters:
        for source in self.sources:
            if source and not _NAMESPACE.fullmatch(source):
                raise ValueError(
                    f"sources has '{source}'; give namespaces like left or robot_1/left, without '/' first"
                )
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError(f'sources is {self.sources}; name at least one, and each once')
        return self


class SafetyAlertParameters(ListenerParameters):
    """A `SafetyAlertParameters` holds what safety_alert takes for a hazard, and how long its alerts last."""

    hazards_file: str = Field(
        '', description="Hazard taxonomy, a YAML file; empty takes the package's `config/safety.yaml`."
    )
    cooldown_s: float = Field(
        60.0, ge=0.0, le=86_400.0,
        description='A hazard heard again within this time, in seconds, updates its alert and raises no new one; at '
        'least `clear_after_s`.',
        json_schema_extra=_LIVE,
    )  # fmt: skip
    clear_after_s: float = Field(
        30.0,
        gt=0.0,
        le=86_400.0,
        description='An alert is cleared when its hazard was not heard for this long, in seconds; `listening_lost` '
        'lasts until sound is heard again.',
        json_schema_extra=_LIVE,
    )
    profile: str = Field(
        '',
        description='Profile of the hazard taxonomy: `home`, `industrial`, `vehicle`, `tutoring` or `care`; empty '
        'takes none.',
    )
    language: str = Field(
        '',
        description="Language of the alerts' sentences where the hazard taxonomy has it: `english` or `chinese`; "
        'empty keeps the words as they were heard.',
        json_schema_extra=_LIVE,
    )
    supervise: bool = Field(
        True,
        description='Watch the assistant itself: raise `listening_lost` when sound stops coming, or is not encoded or '
        'decided on any more.',
    )
    alarm_signatures: bool = Field(
        True,
        description='Hear smoke, carbon monoxide and evacuation alarms and sirens in the raw sound too, without the '
        'model (`docs/safety.md`).',
    )

    @model_validator(mode='after')
    def _clears_within_cooldown(self) -> SafetyAlertParameters:
        if self.cooldown_s < self.clear_after_s:
            raise ValueError(
                f'cooldown_s is {self.cooldown_s} and clear_after_s {self.clear_after_s}; '
                'set cooldown_s to at least clear_after_s, or an open alert would be raised twice'
            )
        return self


class EventLogParameters(ListenerParameters):
    """An `EventLogParameters` holds what event_log keeps, and for how long."""

    path: str = Field(
        '', description='SQLite file that keeps what was said and why (`docs/privacy.md`); empty keeps nothing.'
    )
    keep_days: float = Field(
        30.0,
        gt=0.0,
        le=3_650.0,
        description='Days for which an entry of the event log is kept; older ones are deleted.',
    )
    max_mb: float = Field(
        100.0, ge=1.0, le=1_000_000.0,
        description='Largest size of the event log with its sound, in megabytes; at the limit the oldest entries are '
        'deleted, flagged ones last.',
    )  # fmt: skip
    audio_s: float = Field(
        0.0, ge=0.0, le=60.0,
        description='Seconds of sound to keep around an event, half before and half after; 0 keeps no sound. Needs '
        '`path`.',
    )  # fmt: skip

    @model_validator(mode='after')
    def _sound_needs_a_log(self) -> EventLogParameters:
        if self.audio_s and not self.path:
            raise ValueError(f'audio_s is {self.audio_s} and path is empty; set path too, or audio_s to 0')
        return self


class ToolBridgeParameters(NodeParameters):
    """A `ToolBridgeParameters` holds which tools tool_bridge carries out, and what it refuses."""

    tools_file: str = Field(
        '', description="Tools to carry out, the same file as the decoder's (`docs/tools.md`); empty has none."
    )
    queue_max_calls: int = Field(
        8,
        ge=1,
        le=100,
        description='Most calls that wait for a yes or for their tool; more are refused and counted.',
    )
    confirm_within_s: float = Field(
        20.0, gt=0.0, le=600.0,
        description='A call that needs a yes is refused when none came within this time, in seconds.',
        json_schema_extra=_LIVE,
    )  # fmt: skip
    confirm_by_voice: bool = Field(
        True,
        description='Take a yes that the model says it heard; false takes only what the service `ai/tool_confirm` is '
        'told.',
    )
    ask_aloud: bool = Field(True, description='Have `speaker` ask for the yes, where it runs.', json_schema_extra=_LIVE)
    repeat_after_s: float = Field(
        5.0, ge=0.0, le=3_600.0,
        description='A call with the same arguments is refused within this time, in seconds, of the one before.',
        json_schema_extra=_LIVE,
    )  # fmt: skip


class MonitorParameters(ListenerParameters):
    """A `MonitorParameters` holds where the live page is served, and who may see it and do what."""

    checkpoint: str = Field(
        'embedded', description='Checkpoint of the decoder, whose thresholds are drawn: a directory, or `embedded`.'
    )
    address: str = Field(
        '127.0.0.1',
        description='Address to serve the page at: `127.0.0.1` is this machine alone; any other needs `token`, '
        '`certificate` and `key`.',
    )
    port: int = Field(8642, ge=1, le=65_535, description='TCP port, at `address`, at which the page is served.')
    token: str = Field(
        '', description='What a viewer has to know: the page is then at `…/?token=TOKEN`. At least 16 characters.'
    )
    certificate: str = Field('', description='File (PEM) of the certificate for TLS; goes with `key`.')
    key: str = Field('', description="File (PEM) of the certificate's private key.")
    control: bool = Field(
        False,
        description='Let viewers open and close the microphone and acknowledge alerts; false lets them only look.',
    )
    viewers_max: int = Field(
        5,
        ge=1,
        le=100,
        description='Most viewers who may look at the page at a time; others are told to try again later.',
    )


class SpeakerParameters(NodeParameters):
    """A `SpeakerParameters` holds what speaker speaks with, through what, and when it keeps silent."""

    engine: Literal['espeak-ng', 'piper', 'kokoro', 'server'] = Field(
        'espeak-ng',
        description='Text-to-speech engine: `espeak-ng` speaks at once on any machine; `piper` and `kokoro` sound more '
        'like a person and take longer to begin; `server` has another machine speak, to which every text goes.',
    )
    voice: str = Field(
        '',
        description='Voice of the engine: a name of `espeak-ng --voices`, such as `en-us` or `de+f2`; the path of a '
        "Piper voice (`.onnx`, then # and a speaker's number where it has several); the folder of Kokoro's weights, "
        'then # and a style; or a server that speaks as OpenAI does, URL#MODEL/VOICE (a key is in '
        '`AUDIO_INTERACTION_SPEECH_KEY`). Empty: espeak-ng in American English, and in Mandarin for what is written '
        'in it.',
    )
    output: Literal['device', 'messages'] = Field(
        'device',
        description='Where the speech goes: `device` plays it through a loudspeaker of this computer, `messages` '
        "publishes it on `ai/speech`, in real time, for a robot's own driver.",
    )
    device: str | int = Field(
        '',
        description='Loudspeaker to play through: its name, or a part of it that no other has, or its index; empty '
        "takes the system's default. Another one is never taken in its place.",
    )
    volume: float = Field(
        1.0, ge=0.0, le=1.0,
        description='Loudness of the speech as a factor of its amplitude; 1 is what the engine gives, 0 is mute.',
        json_schema_extra=_LIVE,
    )  # fmt: skip
    rate: float = Field(
        1.0, ge=0.5, le=2.0,
        description="Speaking rate as a multiple of the engine's own; what is urgent is said a little faster, and what "
        'is sad a little slower.',
        json_schema_extra=_LIVE,
    )  # fmt: skip
    barge_in: Literal['nobody', 'voice', 'model'] = Field(
        'voice',
        description='Who may break off what is being said and is not urgent: `voice` whoever talks over it, as '
        '`ai/voice` tells, which is within 300 ms; `model` whoever the decoder answers next; `nobody`.',
        json_schema_extra=_LIVE,
    )
    quiet_hours: str = Field(
        '',
        description='Hours of the day, by the clock of this computer, in which only what is urgent is said, such as '
        '`22:00-07:00`; empty has none.',
        examples=['22:00-07:00'],
        json_schema_extra=_LIVE,
    )
    stale_after_s: float = Field(
        10.0,
        gt=0.0,
        le=600.0,
        description='Longest time, in seconds, from what is heard to the first word of the answer; a response that is '
        'older is not said any more, and counted.',
        json_schema_extra=_LIVE,
    )
    queue_max_texts: int = Field(
        8,
        ge=1,
        le=100,
        description='Most texts that wait to be said; at the limit the oldest of the least urgent is dropped and '
        'counted.',
    )
    frame_id: str = Field(
        'loudspeaker',
        description="Name of the loudspeaker's coordinate frame (tf), put into the header of `ai/speech`.",
    )

    @model_validator(mode='after')
    def _hours_are_hours(self) -> SpeakerParameters:
        QuietHours.parse(self.quiet_hours)
        return self


NODES: dict[str, type[NodeParameters]] = {
    'audio_capture': AudioCaptureParameters,
    'chunk_encoder': ChunkEncoderParameters,
    'decoder': DecoderParameters,
    'safety_alert': SafetyAlertParameters,
    'event_log': EventLogParameters,
    'speaker': SpeakerParameters,
    'tool_bridge': ToolBridgeParameters,
    'monitor': MonitorParameters,
}


def validated(cls: type[NodeParameters], given: Mapping[str, Any], also_known: Iterable[str] = ()) -> NodeParameters:
    """Return the parameters with the given values over the defaults. Whole numbers do for floats.

    `also_known`: names that other nodes of the same process understand, to be passed over.
    Raises ParameterError, one sentence, for an unknown name or an unfitting value.
    """
    own = {name: value for name, value in given.items() if name in cls.model_fields}
    for name in given:
        rclpys = name in _RCLPY_NAMES or name.startswith(_RCLPY_PREFIXES)
        if name not in own and name not in also_known and not rclpys:
            nearest = difflib.get_close_matches(name, cls.model_fields, n=1, cutoff=0.0)[0]
            raise ParameterError(
                f"there is no parameter '{name}'; did you mean '{nearest}'? Known: {', '.join(cls.model_fields)}"
            )
    try:
        return cls(**own)
    except ValidationError as error:
        first = error.errors()[0]
        if not first['loc']:
            raise ParameterError(str(first['ctx']['error'])) from error
        name = str(first['loc'][0])
        raise ParameterError(
            f"parameter '{name}' is {first['input']!r}; {_type_of(cls.model_fields[name])} "
            f'{_range_of(cls.model_fields[name])} expected'.replace('  ', ' ')
        ) from error


def is_live(field: FieldInfo) -> bool:
    """Return whether a parameter may be set while the node works, and then counts at once."""
    return field.json_schema_extra == _LIVE


def bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value of a parameter; None where there is no limit."""
    low = high = None
    for constraint in field.metadata:
        low = getattr(constraint, 'ge', getattr(constraint, 'gt', low))
        high = getattr(constraint, 'le', getattr(constraint, 'lt', high))
    return low, high


def _type_of(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return 'one of ' + ', '.join(get_args(field.annotation))
    if get_origin(field.annotation) is list:
        return 'a list of texts'
    names = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}
    return next((words for kind, words in names.items() if field.annotation is kind), 'text or a whole number')


def _range_of(field: FieldInfo) -> str:
    words = {'gt': 'above', 'ge': 'from', 'le': 'to', 'lt': 'below'}
    parts = [
        f'{word} {getattr(constraint, bound):.10g}'
        for bound, word in words.items()
        for constraint in field.metadata
        if getattr(constraint, bound, None) is not None
    ]
    return ' '.join(parts)


def parameter_file(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a ROS parameter file (YAML) with these values for each node, in whatever namespace it is."""
    # JSON is YAML too, and leaves no doubt about what is text.
    return json.dumps({f'/**/{name}': {'ros__parameters': dict(given)} for name, given in values.items()}, indent=2)


def markdown_table(cls: type[NodeParameters]) -> str:
    """Return a node's parameters as a Markdown table."""
    rows = ['| parameter | default | range | meaning |', '|---|---|---|---|']
    for name, field in cls.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else repr(field.default)
        live = ' *Live.*' if is_live(field) else ''
        rows.append(f'| `{name}` | `{default}` | {_range_of(field)} | {field.description}{live} |')
    return '\n'.join(rows)


def markdown_reference() -> str:
    """Return every node's parameters, under a heading each."""
    return '\n\n'.join(f'**{name}**\n\n{markdown_table(cls)}' for name, cls in NODES.items())


if __name__ == '__main__':
    print(markdown_reference())
