"""Whatever a tools file or a call holds, it is read within limits or refused in a sentence, and nothing gets by."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.desk import Outcome, ToolDesk
from audio_interaction_ros.tool_use.doing import doing_of
from audio_interaction_ros.tool_use.errors import CallError, ToolsError
from tests.fuzz.cases import cases
from tests.fuzz.strategies import damaged
from tests.fuzz.test_yaml import changed

FILE = (Path(__file__).parents[2] / 'config' / 'tools.yaml').read_text()
TOOLS = Tools.parse(FILE)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.fixed_dictionaries(
    {}, optional={name: VALUES | st.sampled_from(['on', 'off', 5]) for name in ('state', 'minutes', 'text', 'answer')}
)


@cases(50)
@given(damaged(FILE.encode()) | changed(yaml.safe_load(FILE)).map(lambda said: yaml.safe_dump(said).encode()))
def test_any_tools_file_is_read_or_refused(content):
    try:
        tools = Tools.parse(content.decode('utf-8', 'replace'))
        for tool in tools.declared.values():
            doing_of(tool)
    except ToolsError as error:
        assert '; ' in str(error) and '\n' not in str(error) and len(str(error)) < 800


@cases(80)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=3),
            st.sampled_from([*TOOLS.schemas, 'oven', '']),
            ARGUMENTS.map(json.dumps) | VALUES.map(json.dumps) | st.text(max_size=20),
        ),
        max_size=8,
    )
)
def test_any_call_is_begun_as_declared_or_refused(calls):
    desk = ToolDesk(TOOLS, queue_max=3, confirm_within_s=20.0, repeat_after_s=5.0)
    for id, tool, arguments in calls:
        due = desk.take(id, tool, arguments, 'r', 0.0)
        for case in due.begin:
            case.call.tool.require_valid(case.call.arguments)
            assert not case.call.tool.needs_confirmation(case.call.arguments)
        for result in due.results:
            assert result.outcome in (Outcome.ASKED, Outcome.REFUSED) and 0 < len(result.text) < 800
        assert len(due.begin) + len(due.results) == 1
        assert desk.open <= 3


@cases(80)
@given(ARGUMENTS.map(lambda given: json.dumps({'tool': 'light', **given})) | st.text(max_size=20))
def test_any_text_of_the_model_is_a_call_that_fits_or_none(text):
    try:
        call = TOOLS.call_of(text)
    except CallError as error:
        assert '; ' in str(error) and '\n' not in str(error)
    else:
        call.tool.require_valid(json.loads(call.arguments_text))
