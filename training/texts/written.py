"""Texts that a language model writes by itself, each about a word that the seed draws, and its answers to them.

What it answers to a written question is what a model that has been given ears should answer to the same one spoken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from training.random_streams import Purpose, random_stream, torch_seed
from training.texts import TextsError
from training.texts.clean import fault, tidy

TEXTS_A_BATCH = 32
_ASKED = {
    'sentence': 'Write one short sentence in everyday English with the word "{word}". Write only the sentence.',
    'question': 'Write one short question that has a short answer, about the word "{word}". Write only the question.',
    'remark': 'Write one short thing that somebody could say to a friend about "{word}". Write only what is said.',
}
_ANSWER = '{said}\nAnswer in one short sentence.'
_END = re.compile(r'(?<=[.?!])\s')
_TEMPERATURE, _TOP_P, _MOST_TOKENS = 0.9, 0.95, 40

Answer = Callable[[Sequence[str], int], list[str]]  # (what is asked, seed) → what the model says to each


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

    def __call__(self, asked: Sequence[str], seed: int) -> list[str]:
        """Return what the model says to each of `asked`; the same for the same arguments on one machine."""
        import torch

        prompts = [
            self._tokenizer.apply_chat_template(
                [{'role': 'user', 'content': each}], tokenize=False, add_generation_prompt=True
            )
            for each in asked
        ]
        given = self._tokenizer(prompts, return_tensors='pt', padding=True, add_special_tokens=False)
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            said = self._model.generate(
                **given,
                do_sample=True,
                temperature=_TEMPERATURE,
                top_p=_TOP_P,
                max_new_tokens=_MOST_TOKENS,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        answers: list[str] = self._tokenizer.batch_decode(
            said[:, given['input_ids'].shape[1] :], skip_special_tokens=True
        )
        return answers


def write(answer: Answer, words: Sequence[str], count: int, seed: int) -> Iterator[list[str]]:
    """Yield about `count` texts, a third each of sentences, and of questions and remarks with an answer each.

    `words` are what they are about. What is no clean text is yielded too, for whoever counts; it is not answered.
    """
    kinds = list(_ASKED)
    for batch in range(-(-count // TEXTS_A_BATCH)):
        rng = random_stream(Purpose.WRITTEN_TEXTS, seed, batch)
        size = min(TEXTS_A_BATCH, count - batch * TEXTS_A_BATCH)
        asked = [kinds[number % len(kinds)] for number in range(size)]
        prompts = [_ASKED[kind].format(word=words[int(rng.integers(len(words)))]) for kind in asked]
        texts = [_first_sentence(text) for text in answer(prompts, torch_seed(Purpose.WRITTEN_TEXTS, seed, batch))]
        wanted = [n for n, kind in enumerate(asked) if kind != 'sentence' and not fault(texts[n])]
        again = [_ANSWER.format(said=texts[n]) for n in wanted]
        said = answer(again, torch_seed(Purpose.ANSWERS, seed, batch)) if again else []
        answers = {n: _first_sentence(text) for n, text in zip(wanted, said, strict=True)}
        for number, text in enumerate(texts):
            yield [text, answers[number]] if number in answers else [text]


def _first_sentence(text: str) -> str:
    """The first sentence of what a model says; '' if it did not come to its end."""
    lines = text.strip().splitlines() or ['']
    first = _END.split(lines[0].strip(' "*'), maxsplit=1)[0].strip(' "*')
    return tidy(first) if first.endswith(('.', '?', '!')) else ''
