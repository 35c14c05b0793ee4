"""`python -m docs.messages`: write docs/messages.md, what is said where something is wrong, from code and tests.

The robot's messages are in one table, training's in another. A message is what a module raises, logs, reports on
/diagnostics or prints as an error. What it says to do follows its first semicolon. A test that does so, and
finds that it helps, is marked `cures` with some of the message's words.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'messages.md'
ROBOT, TRAINING = 'audio_interaction_ros', 'training'
_GENERATED = ('msg', 'srv')
# Where a sentence is said: the name of what is called, and the place of the sentence among its arguments.
_SAID_BY = {'trouble': 1, 'condition': 1, 'StampFault': 1, 'LevelFault': 1, '_warn': 0, 'exit': 0, 'fail': 0}
_LOGGED_BY = ('error', 'warning', 'fatal')
_BUGS = ('NotImplementedError', 'KeyboardInterrupt', 'AssertionError')
# What is filled in by these names is a message itself, which is in the table where it is raised.
_MESSAGES = ('error', 'sentence', 'problem', 'reason', 'cause', 'why', 'silence', 'message', 'remark', 'NO_FORMAT')
# These raise for their caller alone, which makes it one of its own messages or does without.
_FOR_THE_CALLER = (
    'audio/sound_server.py', 'model/encoder.py', 'model/engine.py', 'model/graphs.py', 'model/shapes.py',
    'streaming/session.py', 'voice/program.py',
)  # fmt: skip
_SHORTEST_QUOTE = 15


@dataclass(frozen=True)
class Message:
    """A `Message` is a sentence of the code: its module, and its words, with what is filled in within braces."""

    module: str
    words: str

    @property
    def cure(self) -> str:
        """Return what it says to do; empty where it says nothing."""
        return self.words.partition('; ')[2]

    def quoted(self, text: str) -> bool:
        """Return whether a text, or a regular expression without groups, is some of the words."""
        return ' '.join(text.replace('\\', '').split()) in self.words


@dataclass(frozen=True)
class Test:
    """A `Test` is a test's place and name, the words of messages that it cures, and all texts that are in it."""

    path: str
    name: str
    cures: tuple[str, ...]
    texts: tuple[str, ...]


@cache
def messages(package: str = ROBOT) -> tuple[Message, ...]:
    """Return every message of a package once, in the order of modules and lines."""
    found: dict[Message, None] = {}
    for file in sorted((ROOT / package).rglob('*.py')):
        module = str(file.relative_to(ROOT / package))
        if not module.startswith(_GENERATED) and module not in _FOR_THE_CALLER:
            found |= dict.fromkeys(Message(module, words) for _, words in sorted(_said_in(ast.parse(file.read_text()))))
    return tuple(found)


@cache
def tests(package: str = ROBOT) -> tuple[Test, ...]:
    """Return every test of a package."""
    return tuple(
        Test(str(file.relative_to(ROOT)), node.name, tuple(_marked(node)), tuple(_constants(node)))
        for file in sorted((ROOT / 'tests').rglob('test_*.py'))
        if file.is_relative_to(ROOT / 'tests' / TRAINING) == (package == TRAINING)
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')
    )


def page() -> str:
    """Return the page, as it is to be in docs/messages.md."""
    return (
        '# What is said where something is wrong\n\n'
        'Written by `python -m docs.messages` from the code and the tests: every sentence that is raised, logged, '
        'reported on `/diagnostics` or printed as an error, what it says to do, and the test that does it and finds '
        'that it helps. A test in parentheses holds the words only.\n\n'
        f'## The robot\n\n{_table(ROBOT)}\n## Training\n\n{_table(TRAINING)}'
    )


def _table(package: str) -> str:
    rows, cured, held = [], 0, 0
    for message in messages(package):
        curing = [test for test in tests(package) if any(message.quoted(words) for words in test.cures)]
        quoting = [test for test in tests(package) if any(message.quoted(text) for text in test.texts)]
        cured += bool(curing)
        held += not curing and bool(quoting)
        names = [f'`{test.name}`' for test in curing] or [f'(`{test.name}`)' for test in quoting[:1]]
        what = message.words.removesuffix(message.cure).removesuffix('; ')
        rows.append(f'| `{message.module}` | {_cell(what)} | {_cell(message.cure)} | {"<br>".join(names)} |')
    return (
        f'{len(rows)} messages; {cured} with a test that does what they say, {held} more with one that holds their '
        'words.\n\n'
        '| module | what was found | what to do | test |\n|---|---|---|---|\n' + '\n'.join(rows) + '\n'
    )


def _said_in(tree: ast.Module) -> Iterator[tuple[tuple[int, int], str]]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for expression in _expressions(node):
            for branch in _branches(expression):
                words = ' '.join(_words(branch, constants).split()) if _is_text(branch) else ''
                if ' ' in words and ('; ' in words or not any(f'{{{name}}}' in words for name in _MESSAGES)):
                    yield (branch.lineno, branch.col_offset), words


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what may be a message in a statement or a call."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
        if _name(node.exc.func) not in _BUGS:
            yield node.exc.args[0]
    elif (isinstance(node, ast.Return) and node.value is not None) or _words_a_message(node):
        # What is worded here, and said elsewhere.
        words = node.value.elt if isinstance(node.value, ast.ListComp) else node.value
        yield from (text for text in _branches(words) if _is_text(text) and '; ' in ast.unparse(text))
    elif isinstance(node, ast.Call):
        place = _SAID_BY.get(_name(node.func))
        logs = _name(node.func) in _LOGGED_BY and 'get_logger' in ast.unparse(node.func)
        if _name(node.func) == 'append' and '; ' in ast.unparse(node.args[0]):  # to what is said later
            place = 0
        if logs or any(word.arg == 'file' and 'stderr' in ast.unparse(word.value) for word in node.keywords):
            place = 0
        if place is not None and len(node.args) > place:
            yield node.args[place]


def _words_a_message(node: ast.AST) -> bool:
    """Whether a statement gives a name to a text that is neither a constant, such as a help text, nor an answer."""
    names = [_name(target) for target in node.targets] if isinstance(node, ast.Assign) else []
    return bool(names) and not any(name.isupper() or name == 'message' for name in names)


def _name(expression: ast.expr) -> str:
    if isinstance(expression, ast.Call):
        return _name(expression.func)
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, 'id', '…')


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr | ast.BinOp) or isinstance(getattr(node, 'value', None), str)


def _branches(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.IfExp):
        return [*_branches(node.body), *_branches(node.orelse)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_text(node.func.value):
        return [node.func.value]  # a text that something is done to
    return [node]


def _words(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.BinOp):
        return _words(node.left, constants) + _words(node.right, constants)
    if isinstance(node, ast.JoinedStr):
        return ''.join(_words(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        name = _name(node.value)
        return constants.get(name, f'{{{name}}}')
    return '{…}'


def _marked(test: ast.FunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == 'pytest.mark.cures':
            yield from (word.value for word in decorator.args if isinstance(word, ast.Constant))


def _constants(test: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(test):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and len(text) >= _SHORTEST_QUOTE and ' ' in text:
            yield text


def _cell(text: str) -> str:
    return text.replace('|', '\\|').replace('<', '\\<')


if __name__ == '__main__':
    PAGE.write_text(page())
