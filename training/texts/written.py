"""Texts that a language model writes by itself, each about a word that the seed draws, and its answers to them.

What it answers to a written question is what a model that has been given ears should answer to the same one spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from training.random_streams import Purpose, random_stream, torch_seed
from training.texts import TextsError
from training.texts.clean import fault, tidy

TEXTS_A_BATCH = 32
# A small model goes on with a list better than it does what it is asked to.
_LISTS = {
    'sentence': """Sentences with a given word, in everyday English.
bicycle: My brother fixed the bicycle in the yard.
rain: It looks like rain later this afternoon.
letter: She put the letter back into the drawer.
{word}:""",
    'question': """Short questions about a given word.
moon: How far away is the moon?
bread: What is bread made of?
piano: How many keys does a piano have?
{word}:""",
    'remark': """What people say to a friend about a given word.
coffee: I could do with another cup of coffee.
garden: The garden looks lovely this year.
exam: There is an exam tomorrow and I am nervous.
{word}:""",
}
_END = re.compile(r'(?<=[.?!])["*]*\s')
_TEMPERATURE, _TOP_P, _MOST_TOKENS = 0.8, 0.95, 40


class Author(Protocol):
    """An `Author` goes on with texts, and answers what is said to it."""

    def go_on(self, texts: Sequence[str], seed: int) -> list[str]:
        """Return how each text goes on."""
        ...

    def answer(self, said: Sequence[str], seed: int) -> list[str]:
        """Return the answer to each thing that is said."""
        ...


class LocalModel:
    """A `LocalModel` is a chat model of transformers in a folder, such as `training parts smollm2-135m` writes."""

    def __init__(self, folder: Path) -> None:
        """Open the model. Raises TextsError where there is none."""
        cure = 'write it with: python -m training parts smollm2-135m --out parts'
        if not (folder / 'config.json').is_file():
            raise TextsError(f"there is no language model in '{folder}'; {cure}")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer  # seconds to import

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side='left')
            self._model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError) as error:
            reason = ' '.join(str(error).split())[:120]
            raise TextsError(f"the language model in '{folder}' cannot be opened ({reason}); {cure}") from None
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token

    def go_on(self, texts: Sequence[str], seed: int) -> list[str]:
        """Return how each text goes on; the same for the same arguments on one machine."""
        import torch

        given = self._tokenizer(list(texts), return_tensors='pt', padding=True, add_special_tokens=False)
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            whole = self._model.generate(
                **given,
                do_sample=True,
                temperature=_TEMPERATURE,
                top_p=_TOP_P,
                max_new_tokens=_MOST_TOKENS,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        new = whole[:, given['input_ids'].shape[1] :]
        return [str(text) for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)]

    def answer(self, said: Sequence[str], seed: int) -> list[str]:
        """Return what the model answers in a chat to each thing that is said."""
        chats = [[{'role': 'user', 'content': each}] for each in said]
        prompts = self._tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        return self.go_on(prompts, seed)


def write(author: Author, words: Sequence[str], count: int, seed: int) -> Iterator[list[str]]:
    """Yield about `count` texts, a third each of sentences, and of questions and remarks with an answer each.

    `words` are what they are about; a text that leaves its word out is ''. What is no clean text is yielded too, for
    whoever counts; it is not answered.
    """
    kinds = list(_LISTS)
    for batch in range(-(-count // TEXTS_A_BATCH)):
        rng = random_stream(Purpose.WRITTEN_TEXTS, seed, batch)
        size = min(TEXTS_A_BATCH, count - batch * TEXTS_A_BATCH)
        sorts = [kinds[number % len(kinds)] for number in range(size)]
        about = [words[int(rng.integers(len(words)))] for _ in sorts]
        lists = [_LISTS[sort].format(word=word) for sort, word in zip(sorts, about, strict=True)]
        said = author.go_on(lists, torch_seed(Purpose.WRITTEN_TEXTS, seed, batch))
        texts = [_first_sentence(text, word) for text, word in zip(said, about, strict=True)]
        wanted = [n for n, sort in enumerate(sorts) if sort != 'sentence' and not fault(texts[n])]
        again = [texts[n] for n in wanted]
        given = author.answer(again, torch_seed(Purpose.ANSWERS, seed, batch)) if again else []
        answers = {n: _first_sentence(text) for n, text in zip(wanted, given, strict=True)}
        for number, text in enumerate(texts):
            yield [text, answers[number]] if number in answers else [text]


def _first_sentence(text: str, about: str = '') -> str:
    """The first sentence of what a model says; '' if it did not come to its end, or is about something else."""
    lines = text.strip().splitlines() or ['']
    first = _END.split(lines[0].strip(' "*'), maxsplit=1)[0].strip(' "*')
    there = about.rpartition(' ')[2].lower() in first.lower()
    return tidy(first) if first.endswith(('.', '?', '!')) and there else ''
