"""Why did you say that: one sentence, from what was logged and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.events.explain import explain, printable, time_of
from audio_interaction_ros.events.log import EntryKind, FlagVerdict, LogEntry

STAMP_NS = 1_700_000_000_000_000_000


def event(kind=EntryKind.RESPONSE, text='Fire!', probability=0.97, verdict=FlagVerdict.NONE, heard='', **evidence):
    return LogEntry(3, kind, '17-5', STAMP_NS, 'mic', text, probability, evidence, verdict, heard, False)


def test_a_response_is_explained_by_its_decision():
    said = event(
        stream_id=17, chunk_index=5, level_dbfs=-31.6, emotion='urgent', checkpoint_digest='aa-bb', cancelled=False
    )
    assert explain(said) == (
        f'I said "Fire!" (urgent) because of what I heard at {time_of(said)}, chunk 5 of stream 17, at -32 dBFS, after '
        'which the model gave responding a probability of 0.97, with checkpoint aa-bb.'
    )


def test_what_was_not_logged_is_left_out():
    bare = event(text='', probability=None)
    assert explain(bare) == f'I began to speak because of what I heard at {time_of(bare)}.'
    assert 'was cut short' in explain(event(cancelled=True))


def test_an_alert_says_who_heard_it():
    hazard = {'hazard': 'smoke_alarm', 'severity': 'DANGER', 'response_id': '17-5'}
    by_model = explain(event(EntryKind.ALERT, heard_by='MODEL', **hazard))
    assert by_model.startswith('I raised smoke_alarm (DANGER) because the model said "Fire!" in response 17-5, at ')
    assert by_model.endswith('with a confidence of 0.97.')
    assert 'without the model' in explain(event(EntryKind.ALERT, heard_by='SIGNATURE', **hazard))
    assert 'response 17-5 and its standard pattern' in explain(event(EntryKind.ALERT, heard_by='BOTH', **hazard))


def test_a_flag_is_part_of_the_story():
    flagged = explain(event(verdict=FlagVerdict.FALSE_ALARM, heard='kettle'))
    assert flagged.endswith('; it was flagged as a false alarm, really "kettle".')
    assert explain(event(verdict=FlagVerdict.WRONG_WORDS)).endswith('flagged as the wrong words.')


def test_what_a_terminal_would_obey_is_shown_instead():
    assert printable('\x1b[2J\x9bé漢\n\u202e') == '\\x1b[2J\\x9bé漢\\n\\u202e'


@given(st.text(), st.text(), st.integers(-(2**62), 2**62), st.text())
def test_whatever_was_logged_it_is_one_printable_line(text, heard, stamp_ns, hazard):
    for kind in EntryKind:
        logged = LogEntry(
            1,
            kind,
            '',
            stamp_ns,
            '',
            text,
            None,
            {'hazard': hazard, 'heard_by': hazard},
            FlagVerdict.FALSE_ALARM,
            heard,
            False,
        )
        assert explain(logged).isprintable()
