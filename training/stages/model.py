"""The network in training and its dual loss L = L_LM + λ L_stream (paper §3.3, B.2)."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.network import AudioTower
from audio_interaction_ros.model.stock import StockModel, stock_network
from training.recipe import Stage, TrainingRecipe
from training.stages import attention
from training.stages.attention import short_sequences
from training.stages.augmentation import another_microphone, spec_augment
from training.stages.collator import Batch
from training.stages.distributed import Devices
from training.stages.low_rank import merge_updates, weights_held, without_updates
from training.stages.trainable import NEW_TOKENS, only_rows, parameter_groups, set_trainable


class StreamModel(nn.Module):
    """A `StreamModel` is encoder and language model under the names that checkpoints have, with an auxiliary head.

    The event head names what sounds, from the hidden state at every `chunk_end`. It makes sparse triggers learnable
    where nothing is pretrained, and goes along with the checkpoint.
    """

    def __init__(self, audio_tower: AudioTower, language_model: StockModel, event_classes: int) -> None:
        super().__init__()
        self.audio_tower = audio_tower
        self.language_model = language_model
        # Always there, so that every stage has the same parameters; trained where the recipe gives it a weight.
        self.event_head = nn.Linear(language_model.config.hidden_size, 1 + event_classes)
        self._held: tuple[AudioTower, ...] = ()  # one at most; in a tuple it is no part of the network

    def forward(self, mel: Tensor, batch: Batch, with_events: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits, float32, as `losses` wants them, for the log-mel of the chunks that are heard.

        `mel` float32 [n, mel_bins, frames]. Control [targets, vocabulary], text [targets, vocabulary], and events
        [n, 1 + classes] or None.
        """
        return self.read(self.hear(mel, batch), batch, with_events)

    def hear(self, mel: Tensor, batch: Batch) -> Tensor:
        """Return the encoder's vectors of the chunks that are heard, [n, vectors, width]."""
        before = (batch.heard.cumsum(dim=1) - 1)[batch.heard]  # in its stream, every chunk is heard up to its end
        if self._held:
            with torch.no_grad():
                inputs = self._held[0].encode_chunks(mel, before)
            projected: Tensor = self.audio_tower.proj(inputs)
            return projected
        with short_sequences(self.audio_tower):
            return self.audio_tower.encode_chunks(mel, before)

    @contextlib.contextmanager
    def frozen_held(self, tower_learns: bool) -> Iterator[None]:
        """Have weights that do not learn in bfloat16, for autocast, while this lasts.

        They are those of the matrices that have updates and, unless it learns, those of the whole audio tower: a copy
        of it, with its updates merged, hears in its place up to the projection.
        """
        if not tower_learns:
            held = copy.deepcopy(self.audio_tower).requires_grad_(False)
            merge_updates(held)
            held.proj = nn.Identity()  # which stays outside, and may learn
            self._held = (held.to(torch.bfloat16),)
        try:
            with weights_held(self):
                yield
        finally:
            self._held = ()

    def read(self, vectors: Tensor, batch: Batch, with_events: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the logits of `forward` for the encoder's vectors."""
        embedded = self.language_model.get_input_embeddings()(batch.ids)
        # Cloned by the index copy: the embeddings' own gradient must not see what overwrites them.
        flat = embedded.flatten(0, 1).index_copy(0, batch.audio_at, vectors.flatten(0, 1).to(embedded.dtype))
        hidden = self.language_model.model(inputs_embeds=flat.view_as(embedded), use_cache=False).last_hidden_state
        hidden = hidden.flatten(0, 1)
        head = self.language_model.lm_head
        events = self.event_head(hidden[batch.ends_at]).float() if with_events else None
        return head(hidden[batch.stream_at]).float(), head(hidden[batch.lm_at]).float(), events

    def drift(self, batch: Batch) -> Tensor:
        """Return how far its updates have moved what the language model says to the written words of a batch.

        The sum of KL(as it began ‖ as it is) over `written_at`, float32 []; 0 where all updates are still none.
        """
        if not len(batch.written_at):
            return torch.zeros((), device=batch.ids.device)
        now = self._log_probabilities(batch)
        with torch.no_grad(), without_updates(self.language_model):
            begun = self._log_probabilities(batch)
        return nn.functional.kl_div(now, begun, reduction='sum', log_target=True)

    def _log_probabilities(self, batch: Batch) -> Tensor:
        hidden = self.language_model.model(input_ids=batch.written_ids, use_cache=False).last_hidden_state
        logits = self.language_model.lm_head(hidden.flatten(0, 1)[batch.written_at])
        return logits.float().log_softmax(-1)


def build(recipe: TrainingRecipe, tokens: int, event_classes: int) -> StreamModel:
    """Return a new network of the recipe's shapes, on the default device, for a tokenizer of so many tokens."""
    tower = AudioTower(recipe.audio.config())
    model = StreamModel(tower, stock_network(recipe.text.config(tokens)), event_classes)
    model.language_model.set_attn_implementation(attention.BLOCKS if recipe.attention == 'blocks' else attention.NAME)
    if recipe.optimiser.gradient_checkpointing:
        text_model = model.language_model
        # The first name is the newer one of transformers 5.
        enable = (
            getattr(text_model, 'activation_checkpointing_enable', None) or text_model.gradient_checkpointing_enable
        )
        enable({'use_reentrant': False})
    return model


@contextlib.contextmanager
def learning(
    recipe: TrainingRecipe, stage: Stage, model: StreamModel, new_tokens: Sequence[int], devices: Devices
) -> Iterator[Iterable[dict[str, object]]]:
    """Have a network learn what a stage trains, and give that as parameter groups, while this lasts.

    Of embeddings and LM head only the rows of `new_tokens` learn where the stage says so. What does not learn is held
    in bfloat16 where the recipe wants that and the device is a CPU that has it.
    """
    parts = stage.trainable
    trained = set_trainable(model, parts, stage.event_weight > 0, recipe.low_rank.parts)
    tables = dict(trained)
    hooks = [only_rows(tables[name], new_tokens) for part, name in NEW_TOKENS.items() if part in parts]
    held: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if recipe.frozen_in_bfloat16 and devices.has_bfloat16_cpu:
        held = model.frozen_held(tower_learns='encoder' in parts)
    try:
        with held:
            yield parameter_groups(trained, parts, recipe.optimiser.weight_decay)
    finally:
        for hook in hooks:
            hook.remove()


def heard_chunks(mel: Tensor, batch: Batch, augment: bool) -> Tensor:
    """Return what is heard of whole waveforms: log-mel [batch, mel_bins, chunks × 40] → [n, mel_bins, 40]."""
    mel = spec_augment(another_microphone(mel)) if augment else mel
    return mel.unflatten(-1, (batch.heard.shape[1], -1)).movedim(1, 2)[batch.heard]


@dataclass(frozen=True)
class Losses:
    """A `Losses` holds sums over a batch's targets, detached, and `total`, which is minimised."""

    total: Tensor
    lm: Tensor
    stream: Tensor
    event: Tensor


def losses(
    logits: tuple[Tensor, Tensor, Tensor | None], batch: Batch, stage: Stage, response: int, targets: int, chunks: int
) -> Losses:
    """Return the batch's share of (1/N) Σ (−log P(t) + λ −log P(s)), N the `targets` of the whole step (paper §3.3).

    Every position has one target at most, so a position adds one of the two terms. The class weight of `response`
    multiplies its terms and does not change N. The auxiliary loss is averaged over the `chunks` of the whole step.
    """
    stream_logits, lm_logits, event_logits = logits
    cross_entropy = nn.functional.cross_entropy
    stream = cross_entropy(stream_logits, batch.stream_targets, reduction='none')
    weighted = torch.where(batch.stream_targets == response, stage.response_weight * stream, stream).sum()
    lm = cross_entropy(lm_logits, batch.lm_targets, reduction='sum')
    total = (lm + stage.stream_weight * weighted) / targets
    event = total.new_zeros(())
    if event_logits is not None:
        event = cross_entropy(event_logits, batch.events, reduction='sum')
        total = total + stage.event_weight * event / chunks
    return Losses(total, lm.detach(), stream.sum().detach(), event.detach())


@torch.no_grad()
def predict(model: StreamModel, logmel: CausalLogMel, batch: Batch, devices: Devices) -> tuple[Tensor, Tensor, Tensor]:
    """Return the control and text logits of a batch as `StreamModel.forward` does, and the encoder's vectors.

    Nothing heard is masked. The vectors are those of the chunks that are heard, [n, vectors, width].
    """
    with devices.autocast():
        vectors = model.hear(heard_chunks(logmel(batch.waveforms), batch, augment=False), batch)
        control, text, _ = model.read(vectors, batch, with_events=False)
    return control, text, vectors
