"""The released layout computes after conversion what its description says it computes."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
import yaml

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.checkpoint import CheckpointError, load_decoder, load_encoder
from audio_interaction_ros.model.convert import convert
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.loop import make_session
from tests.model.miniatures import ROWS, Shape, audio_config, write_release

RELEASED = {'AUDIO_BEGIN': 151647, 'ASSISTANT': 151602, 'KEEP_SILENCE': 151605, 'TEXT_BEGIN': 151644}


def reference_logits(weights, shape, x):
    """[positions, width] embeddings → [vocabulary] after the last, from the layout's description alone.

    RMSNorm, then attention with grouped key-value heads and rotary positions over the whole head (halves turned
    against each other, base 1e6), then RMSNorm and silu(fc_1) × fc_2 → proj; a last norm; the head is not tied.
    """
    length, head = len(x), shape.head
    frequencies = 1_000_000.0 ** (-torch.arange(0, head, 2) / head)
    angles = (torch.arange(length)[:, None] * frequencies).repeat(1, 2)
    earlier = torch.ones(length, length).tril().bool()

    def norm(x, scale):
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * scale

    def turned(rows):
        first, second = rows.chunk(2, -1)
        return rows * angles.cos() + torch.cat([-second, first], -1) * angles.sin()

    for layer in weights.layers:
        normed = norm(x, layer.norm_1)
        heard = []
        for number in range(shape.heads):
            group = number // (shape.heads // shape.groups)
            mine, shared = slice(number * head, (number + 1) * head), slice(group * head, (group + 1) * head)
            query = turned(normed @ layer.query[mine].T + layer.query_bias[mine])
            key = turned(normed @ layer.key[shared].T + layer.key_bias[shared])
            value = normed @ layer.value[shared].T + layer.value_bias[shared]
            scores = (query @ key.T / math.sqrt(head)).masked_fill(~earlier, -torch.inf)
            heard.append(scores.softmax(-1) @ value)
        x = x + torch.cat(heard, -1) @ layer.output.T
        normed = norm(x, layer.norm_2)
        x = x + (F.silu(normed @ layer.gate.T) * (normed @ layer.up.T)) @ layer.down.T
    return norm(x[-1], weights.norm) @ weights.head.T


@pytest.fixture
def vectors():
    return torch.randn(3, 10, Shape().width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize('interleaved', [False, True], ids=['concatenated', 'interleaved'])
@torch.inference_mode()
def test_both_packings_give_the_logits_of_an_independent_forward(
    tmp_path, qwen_tokenizer, language_weights, vectors, interleaved
):
    write_release(tmp_path / 'release', qwen_tokenizer, language_weights, Shape(), interleaved)
    convert(tmp_path / 'release', tmp_path / 'ours', shard_bytes=100_000)
    engine = Engine(load_decoder(tmp_path / 'ours').language_model)
    heard = torch.cat([language_weights.embeddings[[7, 8, RELEASED['AUDIO_BEGIN']]], vectors.flatten(0, 1)])
    ours = engine.forward([engine.new_cache(len(heard))], heard[None])[0]
    expected = reference_logits(language_weights, Shape(), heard)
    assert ours.shape == (ROWS,)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_drain_has_a_forced_silence_after_every_chunk_but_the_last(converted, language_weights, vectors):
    """The prefix and every chunk are spelt out in the released ids; TEXT_BEGIN against KEEP_SILENCE is the decision."""
    half = load_decoder(converted)
    instruction = half.tokenizer.encode('Warn of danger.', add_special_tokens=False).ids
    embedded = language_weights.embeddings
    heard = [embedded[[151609, 151611, 151644, 151644, *instruction, 151643]]]
    for number, chunk in enumerate(vectors):
        heard += [embedded[[RELEASED['AUDIO_BEGIN']]], chunk, embedded[[RELEASED['ASSISTANT']]]]
        if number < 2:
            heard.append(embedded[[RELEASED['KEEP_SILENCE']]])
    logits = reference_logits(language_weights, Shape(), torch.cat(heard))
    expected = logits[[RELEASED['KEEP_SILENCE'], RELEASED['TEXT_BEGIN']]].softmax(0)[1]
    session = make_session(half, instruction='Warn of danger.')
    assert session.drain(list(vectors))[1] == pytest.approx(float(expected), abs=1e-5)


@torch.inference_mode()
def test_the_encoder_is_the_released_one_on_each_chunk_alone(tmp_path, qwen_tokenizer, language_weights):
    stock = write_release(tmp_path / 'release', qwen_tokenizer, language_weights, Shape())
    convert(tmp_path / 'release', tmp_path / 'ours')
    encoder = load_encoder(tmp_path / 'ours').encoder
    assert encoder.logmel.normalisation == 'running_maximum'
    sound = 0.3 * torch.randn(3 * CHUNK_SAMPLES, generator=torch.Generator().manual_seed(2))
    mel = encoder.logmel(sound)
    alone = [
        stock(chunk, feature_lens=torch.tensor([40]), aftercnn_lens=torch.tensor([20])).last_hidden_state
        for chunk in mel.split(40, dim=1)
    ]
    torch.testing.assert_close(encoder(sound), torch.stack(alone), atol=1e-5, rtol=0)


def test_the_protocol_is_the_released_one(converted):
    half = load_decoder(converted)
    protocol = half.protocol
    assert (protocol.online, protocol.chunk_end, protocol.silent, protocol.audio) == (151609, 151602, 151605, 151608)
    assert protocol.system == protocol.response == 151644
    assert protocol.eos == 151643
    assert protocol.emotions['happy'] == 151614 and protocol.emotions['urgent'] == 151619
    assert half.config.streaming.silent_between_chunks
    assert half.config.streaming.max_context_chunks == 60


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(release, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / 'sprung'), 'w')

    bad = copy_of(release, tmp_path)
    with (bad / 'audiointeraction_ChunkwisedEncoder.pth').open('wb') as file:
        pickle.dump({'conv1.weight': Trap()}, file)
    with pytest.raises(CheckpointError, match=r'Encoder\.pth'):
        convert(bad, tmp_path / 'ours')
    torch.save({'conv1.weight': Trap()}, bad / 'audiointeraction_ChunkwisedEncoder.pth')
    with pytest.raises(CheckpointError, match=r'Encoder\.pth'):
        convert(bad, tmp_path / 'ours')
    assert not (tmp_path / 'sprung').exists()


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        ({'n_layer': 3}, '12 tensors missing'),
        ({'intermediate_size': 64}, 'another shape'),
        ({'n_query_groups': 3}, 'multiple of'),
        ({'rotary_percentage': 0.25}, 'rotary_percentage'),
        ({'n_embd': None}, r'model_config\.yaml'),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(release, tmp_path, change, complaint):
    bad = copy_of(release, tmp_path)
    config = yaml.safe_load((bad / 'model_config.yaml').read_text()) | change
    (bad / 'model_config.yaml').write_text(yaml.safe_dump(config))
    with pytest.raises(CheckpointError, match=complaint):
        convert(bad, tmp_path / 'ours')
    assert not list(tmp_path.glob('ours*'))


def test_an_encoder_of_another_width_is_refused(release, tmp_path):
    bad = copy_of(release, tmp_path)
    config = {'thinker_config': {'audio_config': audio_config(64).to_dict()}}
    (bad / 'qwen25OmniConfig' / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='3 of another shape'):
        convert(bad, tmp_path / 'ours')


def copy_of(release, tmp_path):
    """Links, which a test replaces by what is bad; the shards are not copied."""
    bad = tmp_path / 'bad'
    (bad / 'qwen25OmniConfig').mkdir(parents=True)
    for path in release.rglob('*'):
        if path.is_file() and path.suffix == '.safetensors':
            (bad / path.name).symlink_to(path)
        elif path.is_file():
            (bad / path.relative_to(release)).write_bytes(path.read_bytes())
    return bad
