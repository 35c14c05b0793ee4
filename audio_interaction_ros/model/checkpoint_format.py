"""Which format a checkpoint's config.json has, so that no reader passes over a setting that it does not know.

A checkpoint gets the oldest format that holds all it uses: older packages go on reading what they can honour, and
refuse the rest by its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from audio_interaction_ros.model.weights import CheckpointError

# The first version of the package that reads each format.
PACKAGE_OF_FORMAT = {1: '0.1.0', 2: '0.2.0', 3: '0.2.0'}
# What each format brought. A setting that is off (0, false, null, empty, or as OFF has it) needs no format, and is not
# written for it: readers of the formats before would pass over it without a word, or refuse it.
SETTINGS_OF_FORMAT = {
    2: (
        'audio_config.layer_mix',
        'audio_config.left_context_chunks',
        'events',
        'needs_package',
        'streaming.thresholds',
        'streaming.warning_agreement',
    ),
    3: (
        'text_config.attention_bias',
        'text_config.head_dim',
        'text_config.model_type',
        'text_config.rope_scaling',
        'text_config.tie_word_embeddings',
    ),
}
OFF = {'text_config.model_type': 'qwen2'}  # the family of all checkpoints of the formats before
_ALWAYS_WRITTEN = {'text_config.tie_word_embeddings'}  # which those formats have too, as false


def needed_format(config: Mapping[str, Any]) -> int:
    """Return the oldest format that holds every setting which a config.json, as parsed JSON, uses."""
    needed = [number for number, names in SETTINGS_OF_FORMAT.items() if any(_is_on(config, name) for name in names)]
    return max(needed, default=1)


def settings_after(number: int) -> dict[str, Any]:
    """Return the settings that formats after `number` brought, nested as pydantic's `exclude` has them."""
    nested: dict[str, Any] = {}
    later = [name for format_, names in SETTINGS_OF_FORMAT.items() if format_ > number for name in names]
    for name in sorted({*later} - _ALWAYS_WRITTEN):
        *sections, key = name.split('.')
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = True
    return nested


def require_readable(config: Any, where: str) -> None:
    """Raise CheckpointError where a config.json, as parsed JSON, is of no format that this package reads.

    The sentence names the version of the package that is needed, which a checkpoint of a later format says itself.
    """
    number = config.get('format_version') if isinstance(config, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        if isinstance(config, dict) and (kind := config.get('model_type')):
            raise CheckpointError(
                f"'{where}' is of another kind of model ({kind}), a checkpoint of this package expected; convert one "
                'of Qwen2.5-Omni or Audio-Interaction by `audio-interaction checkpoint convert`, or give another'
            )
        raise CheckpointError(
            f"'{where}' is damaged or of another format (no format_version is in it); copy or download the checkpoint "
            'again'
        )
    if number in PACKAGE_OF_FORMAT:
        return
    needs = config.get('needs_package')
    package = f'audio_interaction_ros {needs} or later' if isinstance(needs, str) else 'a later audio_interaction_ros'
    raise CheckpointError(
        f"'{where}' has checkpoint format {number} and needs {package}; this one reads formats up to "
        f'{max(PACKAGE_OF_FORMAT)}; update the package, or take a checkpoint that was made for it'
    )


def require_known(given: Iterable[str], known: Iterable[str], section: str, where: str) -> None:
    """Raise CheckpointError, which names them, where `given` has settings that are not among the `known`.

    `section`: the part of config.json that they are in, with a dot, or empty for the top.
    """
    if unknown := sorted(set(given) - set(known)):
        names = ', '.join(f'{section}{name}' for name in unknown)
        raise CheckpointError(
            f"'{where}' has settings that this package does not know and would not honour: {names}; update the package "
            'or, if they were put in by hand, take them out'
        )


def _is_on(config: Mapping[str, Any], name: str) -> bool:
    value: Any = config
    for key in name.split('.'):
        value = value.get(key) if isinstance(value, Mapping) else None
    return bool(value) and value != OFF.get(name)
