"""Why did you say that? One sentence, from nothing but the log."""

from __future__ import annotations

from datetime import datetime, timezone

from audio_interaction_ros.events.log import EntryKind, FlagVerdict, LogEntry

_VERDICTS = {FlagVerdict.FALSE_ALARM: 'a false alarm', FlagVerdict.WRONG_WORDS: 'the wrong words'}


def explain(event: LogEntry) -> str:
    """Return why an entry of the log was said or raised, in one sentence; what is not in the log is left out.

    Control characters are shown, not passed on: see `printable`.
    """
    sentence = _response(event) if event.kind is EntryKind.RESPONSE else _alert(event)
    if event.verdict:
        sentence += f'; it was flagged as {_VERDICTS[event.verdict]}'
        sentence += f', really "{event.heard}"' if event.heard else ''
    return printable(sentence) + '.'


def printable(text: str) -> str:
    r"""Return one line that no terminal takes for a command: what cannot be printed becomes an escape such as \x1b."""
    return ''.join(char if char.isprintable() else char.encode('unicode_escape').decode() for char in text)


def time_of(event: LogEntry) -> str:
    """Return when the sound behind an entry was captured, in this computer's time zone, to the second."""
    try:
        moment = datetime.fromtimestamp(event.stamp_ns * 1e-9, timezone.utc).astimezone()
    except (OverflowError, OSError, ValueError):
        return f'{event.stamp_ns} ns'
    return moment.isoformat(sep=' ', timespec='seconds')


def _response(event: LogEntry) -> str:
    known = event.evidence
    said = f'I said "{event.text}"' if event.text else 'I began to speak'
    if known.get('emotion'):
        said += f' ({known["emotion"]})'
    if known.get('cancelled'):
        said += ' and was cut short'
    because = [f'because of what I heard at {time_of(event)}']
    if 'chunk_index' in known:
        because.append(f'chunk {known["chunk_index"]} of stream {known.get("stream_id")}')
    if known.get('level_dbfs') is not None:
        because.append(f'at {known["level_dbfs"]:.0f} dBFS')
    if event.probability is not None:
        because.append(f'after which the model gave responding a probability of {event.probability:.2f}')
    if known.get('told'):
        because.append(f'told to "{known["told"]}"')
    if known.get('context'):
        because.append(f'knowing {known["context"]}')
    if known.get('checkpoint_digest'):
        because.append(f'with checkpoint {known["checkpoint_digest"]}')
    return f'{said} {", ".join(because)}'


def _alert(event: LogEntry) -> str:
    known = event.evidence
    raised = f'I raised {known.get("hazard", "an alert")} ({known.get("severity", "severity unknown")})'
    how = {
        'MODEL': f'the model said "{event.text}" in response {known.get("response_id")}',
        'SIGNATURE': f'its standard pattern was heard in the sound itself, without the model: "{event.text}"',
        'BOTH': f'the model said so in response {known.get("response_id")} and its standard pattern was heard in the '
        f'sound itself: "{event.text}"',
    }.get(str(known.get('heard_by')), f'of "{event.text}"')
    sentence = f'{raised} because {how}, at {time_of(event)}'
    if event.probability is not None:
        sentence += f', with a confidence of {event.probability:.2f}'
    return sentence
