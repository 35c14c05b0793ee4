"""What a checkpoint answers to its own voice: `python -m tests.streaming.own_voice`.

Ten responses are said in each of some rooms with 10 dB of echo return loss; the sound of its microphone goes to the
network as it is, with what it says while it speaks held back, and through the canceller too. In another pass somebody
talks over every second one. Ends with one JSON line: echo return loss enhancement in dB, answers to itself, and when
who talks over it is heard. Nothing is in real time.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from audio_interaction_ros.audio.echo import DELAY_SAMPLES, EchoCanceller, Reference
from audio_interaction_ros.audio.formats import PcmFormat, Samples, encode_s16le
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.audio.own_voice import PUBLISHED, OwnVoiceFilter
from audio_interaction_ros.audio.sources import Block
from audio_interaction_ros.audio.talk_over import TalkOver
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from audio_interaction_ros.model.checkpoint import find_checkpoint, load_decoder, load_encoder
from audio_interaction_ros.streaming.fifo import ChunkQueue
from audio_interaction_ros.streaming.ingest import encode_waveform
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, make_session
from audio_interaction_ros.streaming.own_voice import OwnVoice
from tests.audio.loopback import RESPONSES, Room, at_level, put, speech

_BLOCK, _AHEAD = 640, 960  # samples: of the microphone; that the speaker tells what it plays in advance
_PAUSE_S = 2.0
_JITTER_S = 0.01  # of what the speaker says of the time at which a response sounds
_VOICES = (
    ('Stop talking, please.', 'en-us+f3'),
    ('No, that is not what I meant.', 'en-gb+m3'),
    ('Excuse me, could you wait?', 'en-us+f2'),
    ('Moment mal, bitte.', 'de'),
    ('Hey, be quiet.', 'en-us+m5'),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rooms', type=int, default=6)
    parser.add_argument('--first-seed', type=int, default=100, help='rooms below 24 were those of the choice')
    parser.add_argument('--without-model', action='store_true')
    options = parser.parse_args()
    sounds = [speech(text) for text in RESPONSES]
    voices = [_begun(speech(text, voice)) for text, voice in _VOICES]
    answers = {'neither': 0, 'gating': 0, 'canceller': 0}
    enhancement_db: list[float] = []
    heard_ms: list[float] = []
    false = missed = 0
    for seed in range(options.first_seed, options.first_seed + options.rooms):
        rng = np.random.default_rng(seed)
        starts_s = np.cumsum([2.0, *(len(sound) / 16_000 + _PAUSE_S for sound in sounds[:-1])])
        whole_s = starts_s[-1] + len(sounds[-1]) / 16_000 + _PAUSE_S
        told = put(list(zip(starts_s, sounds, strict=True)), whole_s)
        late_s = rng.uniform(-_JITTER_S, _JITTER_S, len(sounds))
        played = put(list(zip(starts_s + late_s, sounds, strict=True)), whole_s)
        room = Room(seed)
        heard = room.heard(played)
        left, began_s = without_own_voice(heard, told)
        false += len(began_s)
        for start_s, sound in zip(starts_s, sounds, strict=True):
            first = int(start_s * 16_000)
            enhancement_db.append(
                level_dbfs(heard[first : first + len(sound)])
                - level_dbfs(left[first + DELAY_SAMPLES : first + DELAY_SAMPLES + len(sound)])
            )
        if not options.without_model:
            own = OwnVoice()
            for start_s, sound in zip(starts_s, sounds, strict=True):
                own.speaks(True, int(start_s * 1e9))
                own.speaks(False, int((start_s + len(sound) / 16_000) * 1e9))
            answers['neither'] += answered(heard, None)
            answers['gating'] += answered(heard, own)
            own.echo_free = True
            answers['canceller'] += answered(left, own)
        talks_s = [start_s + rng.uniform(0.7, 1.2) for start_s in starts_s[1::2]]
        others = put(
            [(at_s, at_level(voice, rng.uniform(-28.0, -22.0))) for at_s, voice in zip(talks_s, voices, strict=True)],
            whole_s,
        )
        _, began_s = without_own_voice(room.heard(played, others), told)
        for at_s in talks_s:
            found = [each - at_s for each in began_s if 0 <= each - at_s < 2.0]
            heard_ms += [1e3 * found[0]] if found else []
            missed += not found
    of = len(enhancement_db)
    print(json.dumps({
        'responses': of,
        'echo_return_loss_enhancement_db': {
            'median': round(float(np.median(enhancement_db)), 1), 'least': round(min(enhancement_db), 1),
        },
        'answers_to_itself': answers,
        'taken_for_somebody_else': false,
        'talked_over': len(heard_ms) + missed,
        'missed': missed,
        'heard_after_ms': {
            'median': round(float(np.median(heard_ms))), 'p90': round(float(np.percentile(heard_ms, 90))),
            'within_300': int(np.sum(np.array(heard_ms) <= 300)),
        },
    }))  # fmt: skip


def without_own_voice(heard: Samples, told: Samples) -> tuple[Samples, list[float]]:
    """Return what audio_capture publishes of it, and when it says that somebody begins to talk, in seconds."""
    reference = Reference()
    own_voice = OwnVoiceFilter(PcmFormat(16_000, 1, 'S16LE'), EchoCanceller(reference), TalkOver())
    left, began_s, known = [], [], 0
    for first in range(0, len(heard) - _BLOCK + 1, _BLOCK):
        until = first + _BLOCK + _AHEAD
        reference.add(told[known:until], (10**12 + known) * NS_PER_SAMPLE)
        known, talked = until, own_voice.talks
        block = Block(encode_s16le(heard[first : first + _BLOCK]), (10**12 + first) * NS_PER_SAMPLE)
        if (after := own_voice.push(block)) is not None:
            left.append(PUBLISHED.decode(after.data)[:, 0])
        if own_voice.talks and not talked:
            began_s.append((first + _BLOCK) / 16_000)
    return np.concatenate(left), began_s


def answered(sound: Samples, own: OwnVoice | None) -> int:
    """How many responses the embedded checkpoint gives to it, one chunk at a time."""
    directory = find_checkpoint('embedded')
    encoder, decoder = load_encoder(directory), load_decoder(directory)
    queue = ChunkQueue(4)
    loop = ListeningLoop(queue, make_session(decoder), decoder, own_voice=own)
    responses = 0
    for chunk in encode_waveform(encoder, sound):
        queue.push(chunk)
        responses += sum(isinstance(each, Decision) and each.respond for each in loop.run_until_idle())
    return responses


def _begun(voice: Samples) -> Samples:
    """Without the silence before it."""
    envelope = np.convolve(np.abs(voice), np.ones(160) / 160, 'same')
    return voice[int(np.argmax(envelope > 0.05 * envelope.max())) :][:24_000]


if __name__ == '__main__':
    main()
