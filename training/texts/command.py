"""`python -m training texts`: open texts for `corpus build --source open-texts=DIR`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.random_streams import Purpose, random_stream
from training.texts import TextsError
from training.texts.collect import Collection, Origin


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `texts` to argparse's sub-parsers."""
    parser = commands.add_parser(
        'texts',
        help='collect sentences, questions and remarks, each with its licence, for corpus build',
        description='Take texts from packages and from a language model that writes them, leave out what is no clean '
        'English sentence, what is said twice and what would hurt, and write DIR/texts.jsonl. Nothing is fetched.',
        epilog='The last line printed is JSON: how many texts of each source were kept, and why others were not.',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for texts.jsonl')
    parser.add_argument('--wordnet', type=Path, metavar='DIR', help="WordNet's files, such as /usr/share/wordnet")
    parser.add_argument(
        '--chatterbot', type=Path, metavar='DIR', help='the folder data/english of the package chatterbot-corpus'
    )
    parser.add_argument('--model', type=Path, metavar='DIR', help='a chat model, such as parts/smollm2-135m')
    parser.add_argument(
        '--written', type=int, default=3_000, metavar='N', help='texts by the model (default: %(default)s)'
    )
    parser.add_argument(
        '--questions', type=int, default=5_000, metavar='N', help='questions by WordNet at most (default: %(default)s)'
    )
    parser.add_argument(
        '--definitions',
        type=int,
        default=20_000,
        metavar='N',
        help='sentences by WordNet at most that define a word (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=7, help='the same seed gives the same texts (default: %(default)s)')


def run(options: argparse.Namespace) -> int:
    """Write the texts; the last line printed is JSON. Return the exit code."""
    if not (options.wordnet or options.chatterbot or options.model):
        raise TextsError('there is nothing to take texts from; give --wordnet, --chatterbot or --model')
    collection = Collection()
    if options.chatterbot:
        _take_conversations(collection, options.chatterbot)
    if options.model:
        _have_written(collection, options)
    if options.wordnet:
        _take_wordnet(collection, options)
    if not collection.rows:
        why = ', '.join(f'{reason}: {count}' for (_, reason), count in sorted(collection.left_out.items()))
        raise TextsError(f'no text is left ({why or "there was none"}); give other sources')
    print(json.dumps(collection.write(options.out)))
    return 0


def _take_conversations(collection: Collection, folder: Path) -> None:
    from training.texts import chatterbot

    for turns in chatterbot.conversations(folder):
        collection.add(turns, chatterbot.ORIGIN)


def _take_wordnet(collection: Collection, options: argparse.Namespace) -> None:
    from training.texts import wordnet

    for turns in wordnet.sentences(options.wordnet):
        collection.add(turns, wordnet.ORIGIN)
    for purpose, texts, count in (
        (Purpose.DEFINED_WORDS, wordnet.questions(options.wordnet), options.questions),
        (Purpose.DEFINITIONS, wordnet.definitions(options.wordnet), options.definitions),
    ):
        drawn = list(texts)
        left = count
        for number in random_stream(purpose, options.seed).permutation(len(drawn)):
            if left <= 0:
                break
            left -= collection.add(drawn[int(number)], wordnet.ORIGIN)


def _have_written(collection: Collection, options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from training.texts import written

    model = written.LocalModel(options.model)
    name = options.model.resolve().name
    origin = Origin(name, _licence_of(options.model), f'written for this corpus by the language model {name}')
    texts = written.write(model, _words(options.wordnet), options.written, options.seed)
    for turns in tqdm(texts, 'texts', options.written, unit='text'):
        collection.add(turns, origin)


def _licence_of(model: Path) -> str:
    """The licence of the weights, as `training parts` wrote it; who made a text is asked for that."""
    try:
        return str(json.loads((model / 'origin.json').read_text())['licence'])
    except (OSError, ValueError, KeyError, TypeError):
        return 'LicenseRef-that-of-the-model'


def _words(folder: Path | None) -> list[str]:
    """What the model writes about: a few dozen things of every day, and WordNet's commonest nouns where it is given."""
    from training.texts import wordnet

    met = wordnet.common_words(folder, senses_met=_SENSES_MET) if folder else ()
    return list(dict.fromkeys([*_EVERYDAY, *(word for word, _ in met)]))


_SENSES_MET = 3  # some 1100 nouns; of rare ones a small model knows nothing to say
_EVERYDAY = (
    'breakfast', 'bread', 'coffee', 'cooking', 'kettle', 'soup', 'fruit', 'dinner', 'travel', 'train', 'bus',
    'sea', 'mountains', 'map', 'work', 'meeting', 'school', 'homework', 'letter', 'family', 'friend',
    'neighbours', 'birthday', 'dog', 'cat', 'birds', 'flowers', 'garden', 'rain', 'snow', 'wind', 'summer',
    'music', 'film', 'book', 'game', 'football', 'swimming', 'sleep', 'health', 'doctor', 'clothes', 'shoes',
    'shopping', 'money', 'kitchen', 'window', 'lamp', 'repairs', 'tools', 'bicycle', 'car', 'moon',
    'stars', 'numbers', 'languages', 'history', 'city', 'office', 'time', 'appointment', 'water',
)  # fmt: skip
