"""`audio-interaction ask`: one question about a recording, answered when all of it was heard."""

from __future__ import annotations

import argparse
import json
from typing import Any

from audio_interaction_ros.cli.context_file import read_context
from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.listen import add_channels_option, chosen_channels
from audio_interaction_ros.cli.models import load_halves
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.options import add_checkpoint_option, add_context_option
from audio_interaction_ros.output import print_line

_EPILOG = """\
One JSON line:
  {"file": "yard.wav", "question": "What is it?", "answer": "A dog barks.", "emotion": "normal", "complete": true}
"complete" is false where the answer was cut off at --max-tokens, or went round in circles. "warnings" is there
where a recording is damaged, and was heard as far as it can be. With --option:
  {"file": "yard.wav", "question": "…", "answer": "a dog",
   "options": [{"option": "a dog", "log_likelihood": -2.1, "share": 0.93}, …]}
the likeliest first: as the whole answer, in natural logarithms, and as a share of all that were given.
All of the recording is heard before anything is said; `listen` is the other way, which decides as it hears. An
assistant that is running is asked about what it has just heard with its service ai/ask (docs/reference.md). The
embedded checkpoint knows the instructions that it was trained on, and no others.

examples:
  audio-interaction ask yard.wav "What do you hear?"
  audio-interaction ask yard.wav --spoken question.wav
  audio-interaction ask call.wav "Is it true what he says?" --context calendar.json
  audio-interaction ask yard.wav "Which is it?" --option "a dog" --option "a cat"
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'ask',
        'one question about a recording',
        'Hear a whole recording, and then answer a question about it.',
        _EPILOG,
    )
    parser.add_argument(
        'file', metavar='FILE', help='recording: WAV, FLAC, OGG …, of any sample rate and channel count'
    )
    add_channels_option(parser)
    parser.add_argument('question', nargs='?', default='', metavar='QUESTION', help='what is asked about it, in text')
    parser.add_argument('--spoken', metavar='FILE', help='recording of the question, which is heard after the other')
    parser.add_argument(
        '--option', action='append', default=[], metavar='TEXT', help='an answer to choose from; again for each'
    )
    add_context_option(parser)
    parser.add_argument('--language', default='english', help='in which to answer (default: %(default)s)')
    parser.add_argument(
        '--max-tokens', type=int, default=512, metavar='N', help='longest answer, in tokens (default: %(default)s)'
    )
    add_checkpoint_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the answer; return 0."""
    if bool(arguments.question) == bool(arguments.spoken):
        questions = 'two questions' if arguments.question else 'no question'
        raise CommandError(f'{questions} found, one expected; give it in words, or with --spoken FILE')
    if arguments.max_tokens < 1:
        raise CommandError(f'--max-tokens is {arguments.max_tokens}; give at least 1')
    import numpy as np

    from audio_interaction_ros.audio.file_reader import read_recording
    from audio_interaction_ros.audio.formats import AudioFormatError
    from audio_interaction_ros.streaming.question import Question, QuestionError

    channels = chosen_channels(arguments)
    with reported(AudioFormatError):
        heard = [read_recording(arguments.file, channels=channels)]
        heard += [read_recording(file) for file in (arguments.spoken,) if file]
    encoder, decoder = load_halves(arguments.checkpoint)
    found: dict[str, Any] = {'file': arguments.file, 'question': arguments.question or arguments.spoken}
    context, sound = read_context(arguments.context), np.concatenate([recording.samples for recording in heard])
    with reported(QuestionError):
        question = Question.about(encoder, decoder, sound, arguments.question, arguments.language, context)
        if arguments.option:
            options = question.choose(arguments.option)
            found['answer'] = options[0].text
            found['options'] = [
                {'option': o.text, 'log_likelihood': round(o.log_likelihood, 4), 'share': round(o.share, 4)}
                for o in options
            ]
        else:
            answer = question.answer(arguments.max_tokens)
            found |= {'answer': answer.text, 'emotion': answer.emotion, 'complete': answer.complete}
    if problems := [recording.problem for recording in heard if recording.problem]:
        found['warnings'] = problems
    print_line(json.dumps(found, ensure_ascii=False))
    return 0
