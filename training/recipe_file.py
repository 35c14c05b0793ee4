"""Recipe files: found by name, read, and checked to the last key. A corpus reads one section of them, training all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

_RECIPES = Path(__file__).parent / 'recipes'
M = TypeVar('M', bound=BaseModel)


class RecipeError(ValueError):
    """A recipe cannot work, in one sentence."""


def recipe_path(name: str) -> Path:
    """Return the file of a recipe: a path, or a name in training/recipes."""
    path = Path(name)
    return path if path.suffix else _RECIPES / f'{name}.yaml'


def read_recipe_file(path: Path) -> dict[str, Any]:
    """Return what a recipe file says, unchecked. Raises RecipeError where it is no YAML mapping."""
    try:
        said = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        known = sorted(file.stem for file in _RECIPES.glob('*.yaml'))
        raise RecipeError(f"no recipe at '{path}'; give a YAML file or one of {known}") from error
    except Exception as error:  # what a YAML reader makes of a file that is none is anything
        raise RecipeError(f"'{path}' is not YAML ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(said, dict):
        raise RecipeError(f"'{path}' holds no settings; give a recipe such as those in training/recipes")
    return said


def check_recipe(model: type[M], said: Mapping[str, Any], path: Path, section: Sequence[str] = ()) -> M:
    """Return what a recipe file says, or one section of it, as a `model`.

    Raises RecipeError: every setting that the model does not have, each with the nearest that it has; where there are
    none of those, every value that does not fit.
    """
    try:
        return model.model_validate(said)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        unknown = [
            _unknown(model, [*section, *map(str, problem['loc'])], problem['loc'])
            for problem in problems
            if problem['type'] == 'extra_forbidden'
        ]
        wrong = unknown or [_wrong([*section, *map(str, problem['loc'])], problem['msg']) for problem in problems]
        raise RecipeError(f"'{path}' is not a usable recipe: {'; '.join(wrong)}") from error


def check_section(model: type[M], section: str, path: Path) -> M:
    """Return one section of a recipe file as a `model`, its defaults where the file has none; raises as `check_recipe`.

    A section whose name is almost this one is a mistake and not another one.
    """
    said = read_recipe_file(path)
    if section not in said and (mistyped := get_close_matches(section, filter(_is_text, said), n=1, cutoff=0.8)):
        problem = f"it has no setting '{mistyped[0]}'; the nearest that it has is '{section}'"
        raise RecipeError(f"'{path}' is not a usable recipe: {problem}")
    return check_recipe(model, said.get(section) or {}, path, (section,))


def _is_text(key: object) -> bool:
    return isinstance(key, str)


def _unknown(model: type[BaseModel], named: Sequence[str], loc: Sequence[int | str]) -> str:
    *parents, key = named
    known = sorted(_model_at(model, loc[:-1]).model_fields)
    nearest = get_close_matches(key, known, n=1)
    where = '.'.join(parents) or 'it'
    cure = f"the nearest that it has is '{nearest[0]}'" if nearest else f'it has {", ".join(known)}'
    return f"{where} has no setting '{key}'; {cure}"


def _wrong(named: Sequence[str], message: str) -> str:
    said = message.removeprefix('Value error, ')
    return f'{".".join(named)}: {said}' if named else said


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """The model of the section at a place; numbers are places in lists, names may be a union's branches."""
    for key in loc:
        if isinstance(key, str) and key in model.model_fields:
            model = _models_in(model.model_fields[key].annotation)[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation such as `Section | None` or `tuple[Section, ...]` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]
