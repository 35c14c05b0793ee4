"""A value that is refused is accepted once it is changed as the refusal says."""

from __future__ import annotations

import re

import pytest

from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.audio.switch import ListeningSwitch, SwitchError
from audio_interaction_ros.nodes.parameters import NODES, ParameterError, validated
from audio_interaction_ros.safety.hazards import HazardFileError, HazardTaxonomy, default_taxonomy_path


@pytest.mark.cures(
    'give the number of a channel',
    "give namespaces like left or robot_1/left, without '/' first",
    'name at least one, and each once',
    'set cooldown_s to at least clear_after_s',
    'set path too, or audio_s to 0',
    'give the time at which they begin and that at which they end',
    'did you mean',
    "parameter '{name}' is",
)
@pytest.mark.parametrize(
    ('node', 'refused', 'sentence', 'accepted'),
    [
        ('audio_capture', {'channels': 'left'}, 'give the number of a channel (0 is the first)', {'channels': 0}),
        ('decoder', {'sources': ['/left']}, 'give namespaces like left or robot_1/left', {'sources': ['left']}),
        ('decoder', {'sources': ['a', 'a']}, 'name at least one, and each once', {'sources': ['a', 'b']}),
        ('safety_alert', {'cooldown_s': 5.0}, 'set cooldown_s to at least clear_after_s', {'cooldown_s': 30.0}),
        ('event_log', {'audio_s': 5.0}, 'set path too, or audio_s to 0', {'audio_s': 5.0, 'path': 'events.db'}),
        ('event_log', {'audio_s': 5.0}, 'set path too, or audio_s to 0', {'audio_s': 0.0}),
        ('speaker', {'quiet_hours': 'night'}, 'as 22:00-07:00, or nothing', {'quiet_hours': '22:00-07:00'}),
        ('audio_capture', {'devise': 'USB'}, "did you mean 'device'?", {'device': 'USB'}),
        ('audio_capture', {'block_ms': 10}, 'a whole number from 20 to 100 expected', {'block_ms': 20}),
        ('decoder', {'precision': 'int4'}, 'one of stored, float32, bfloat16, float16, int8', {'precision': 'int8'}),
    ],
)  # fmt: skip
def test_a_parameter_is_accepted_when_it_is_changed_as_its_refusal_says(node, refused, sentence, accepted):
    with pytest.raises(ParameterError, match=re.escape(sentence)):
        validated(NODES[node], refused)
    assert validated(NODES[node], accepted)


@pytest.mark.cures(
    'is not readable here; publish one of',
    "set the audio driver to 'wave'",
    'correct channels, or audio_info',
    'correct sample_rate, or audio_info',
    'set the audio driver to one of them',
)
def test_a_format_is_accepted_when_it_is_changed_as_its_refusal_says():
    right = (16_000, 1, 'S16LE', 'wave')
    for wrong, sentence in (
        ((16_000, 1, 'S24LE', 'wave'), 'publish one of S16LE'),
        ((16_000, 1, 'S16LE', 'mp3'), "set the audio driver to 'wave'"),
        ((16_000, 0, 'S16LE', 'wave'), '1 to 64 expected; correct channels, or audio_info'),
        ((1, 1, 'S16LE', 'wave'), '4000 to 384000 Hz expected; correct sample_rate, or audio_info'),
    ):
        with pytest.raises(AudioFormatError, match=sentence):
            PcmFormat.from_info(*wrong)
    assert PcmFormat.from_info(*right) == PcmFormat(16_000, 1, 'S16LE')
    with pytest.raises(AudioFormatError, match='one of 1, 2, 8, 16, 32 expected; set the audio driver to one of them'):
        PcmFormat.from_portaudio(4, 1, 16_000)
    for code in (1, 2, 8, 16, 32):
        assert PcmFormat.from_portaudio(code, 1, 16_000)


@pytest.mark.cures(
    'true or false expected, or delete it', 'delete it or give another listening_file', 'cannot remember it'
)
def test_the_file_of_the_off_switch_is_used_again_when_it_is_mended_as_said(tmp_path):
    file = tmp_path / 'listening'
    for content, sentence in (
        (b'perhaps', 'true or false expected, or delete it'),
        (b'\xff', 'delete it or give another'),
    ):
        file.write_bytes(content)
        with pytest.raises(SwitchError, match=sentence):
            ListeningSwitch(True, str(file))
        file.write_text('false')
        assert not ListeningSwitch(True, str(file)).on
        file.unlink()
        assert ListeningSwitch(True, str(file)).on
    nowhere = ListeningSwitch(True, str(tmp_path / 'no' / 'listening'))
    with pytest.raises(SwitchError, match='give a listening_file that can be written'):
        nowhere.set(False)
    ListeningSwitch(True, str(file)).set(False)
    assert not ListeningSwitch(True, str(file)).on


@pytest.mark.cures(
    'give one of those, or leave it empty',
    'is no hazard taxonomy',
    'correct the names, or add the hazards',
    'signatures {unknown} found; give some of',
    'install again or set hazards_file',
)
def test_a_hazard_taxonomy_is_read_when_it_is_mended_as_said(tmp_path, monkeypatch):
    shipped = default_taxonomy_path()
    with pytest.raises(HazardFileError, match=r'has home, .*; give one of those, or leave it empty'):
        HazardTaxonomy.load(shipped, 'house')
    assert HazardTaxonomy.load(shipped, 'home') and HazardTaxonomy.load(shipped)
    own = tmp_path / 'safety.yaml'
    own.write_text(shipped.read_text().replace('\nprofiles:', '\nprofiles:\n  mine: {ignored: [sirn]}'))
    with pytest.raises(HazardFileError, match=r'(?s)is no hazard taxonomy; .*\[.sirn.\]; correct the names'):
        HazardTaxonomy.load(own, 'mine')
    own.write_text(own.read_text().replace('sirn', 'siren'))
    assert HazardTaxonomy.load(own, 'mine')
    own.write_text(shipped.read_text().replace('temporal_four', 'four'))
    with pytest.raises(HazardFileError, match=r"(?s)signatures \['four'\] found; give some of .*temporal_four"):
        HazardTaxonomy.load(own)
    own.write_text(shipped.read_text())
    with monkeypatch.context() as missing:
        missing.setattr('audio_interaction_ros.safety.hazards.shared_path', lambda _: None)
        with pytest.raises(HazardFileError, match='is not installed; install again or set hazards_file'):
            default_taxonomy_path()
        assert HazardTaxonomy.load(own)
    assert default_taxonomy_path() == shipped
