"""What a recipe asks of the hardware: parameters, bytes on each GPU under ZeRO-2, operations, hosts and disk, hours.

Shapes are built on the meta device, so the 3B model is counted in seconds on any computer. The bytes are those of the
largest batch the recipe can meet: every stream of `max_positions`, every position that may have a target has one.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import nn

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.low_rank import is_update
from training.recipe import Stage, TrainablePart, TrainingRecipe
from training.recipe_file import RecipeError
from training.stages.distributed import Devices
from training.stages.engine import ZERO_BUCKET
from training.stages.index import ROW, tokens_a_chunk
from training.stages.loader import STEPS_AHEAD
from training.stages.low_rank import add_updates
from training.stages.model import StreamModel, build
from training.stages.trainable import is_trainable

# bfloat16 matrix products without sparsity, from the makers' data sheets.
PEAK_FLOPS = {'H100 PCIe': 756e12, 'H100': 989.4e12, 'H200': 989.4e12, 'A100': 312e12}
GPU_GB = {'H100 PCIe': 80.0, 'H100': 80.0, 'H200': 141.0, 'A100': 80.0}
PLANNED_UTILISATION = 0.45
_RESERVED_BYTES = 4 << 30  # CUDA context, NCCL, fragments
_PROCESS_BYTES = 3 << 30  # on the host: PyTorch, DeepSpeed, CUDA, and what NCCL pins
_PREFIX = 5  # without an instruction
# Of a corpus of 34 hours by the recipe embedded-v3.
_CORPUS_BYTES_AN_HOUR = 78e6  # FLAC
_STREAM_S = 17.5
_RECORD_BYTES = 3_300  # of a stream, in the index
_PLACE_BYTES = 8  # of a stream in a list of them


@dataclass(frozen=True)
class Hardware:
    """A `Hardware` is what a dry run is made for: so many GPUs of a kind, their memory in decimal GB, and its price."""

    devices: int
    memory_gb: float
    gpu: str = 'H100'
    price_an_hour: float | None = None  # of one GPU


@dataclass(frozen=True)
class ForwardOperations:
    """A `ForwardOperations` counts what a network computes forward: a multiplication and an addition are two."""

    per_position: float  # of the language model's layers
    per_position_pair: float  # of attention
    per_target: float  # of the LM head
    per_chunk: float  # of the encoder without the projection
    adapter_per_chunk: float
    learning: float  # share of the layers' weights that learns with the language model: all, or its updates
    learning_encoder: float
    trains_head: frozenset[TrainablePart]  # each of these does

    @classmethod
    def of(cls, model: StreamModel) -> ForwardOperations:
        """Count what a network of these shapes computes."""
        text, audio = model.language_model.config, model.audio_tower.config
        head_dim = getattr(text, 'head_dim', None) or text.hidden_size // text.num_attention_heads
        frames = audio.n_window  # of a chunk, after the strided convolution; two of them become a vector
        convolutions = 2 * 3 * audio.d_model * (2 * frames * audio.num_mel_bins + frames * audio.d_model)
        attention = audio.encoder_layers * 4 * frames**2 * (1 + audio.left_context_chunks) * audio.d_model
        return cls(
            per_position=2.0 * _count(model.language_model.model.layers),
            # Half of all pairs: attention looks back only.
            per_position_pair=text.num_hidden_layers * 2.0 * text.num_attention_heads * head_dim,
            per_target=2.0 * text.hidden_size * text.vocab_size,
            per_chunk=convolutions + attention + 2.0 * frames * _count(model.audio_tower.layers),
            adapter_per_chunk=2.0 * (frames // 2) * model.audio_tower.proj.weight.numel(),
            learning=_learning(model.language_model.model.layers),
            learning_encoder=_learning(model.audio_tower.layers),
            trains_head=frozenset(
                ('embeddings', 'new_token_embeddings') if text.tie_word_embeddings else ('lm_head', 'new_token_lm_head')
            ),
        )

    def of_step(self, stage: Stage, positions: float, squares: float, chunks: float, targets: float) -> float:
        """Return the operations of a step, forward and backward.

        For so many positions, `squares` of the streams' lengths, chunks and targets.

        A layer costs as much again for each gradient that is needed: of its input where something before it is trained,
        and of its weights where they are.
        """
        parts = set(stage.trainable)
        lm, encoder = 'language_model' in parts, 'encoder' in parts
        layers = positions * self.per_position + squares * self.per_position_pair
        # Embeddings and audio vectors enter at the bottom; if only the head is trained, nothing goes back further.
        down = lm or encoder or bool(parts & {'adapter', 'embeddings', 'new_token_embeddings'})
        head = targets * self.per_target
        return (
            layers * (1 + down + lm * self.learning)
            + head * (1 + down + ((lm and self.learning == 1) or bool(parts & self.trains_head)))
            + chunks * self.adapter_per_chunk * (1 + encoder + ('adapter' in parts))
            + chunks * self.per_chunk * (2 + self.learning_encoder if encoder else 1)
        )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _learning(layers: nn.Module) -> float:
    updates = sum(parameter.numel() for name, parameter in layers.named_parameters() if is_update(name))
    return updates / _count(layers) if updates else 1.0


def peak_flops(devices: Devices) -> float:
    """Return a device's operations a second at best: the data sheet's, or measured with a bfloat16 matrix product."""
    if devices.device.type == 'cuda':
        name = torch.cuda.get_device_name(devices.device)
        if known := next((flops for model, flops in PEAK_FLOPS.items() if model in name), None):
            return known
    size = 4_096 if devices.device.type == 'cuda' else 1_024
    best = 0.0
    with torch.no_grad(), devices.autocast():
        # Without the instructions the CPU works in float32.
        bf16 = devices.device.type == 'cuda' or torch.is_autocast_enabled('cpu')
        one = torch.ones(size, size, device=devices.device, dtype=torch.bfloat16 if bf16 else torch.float32)
        for _ in range(8):
            started = time.perf_counter()
            float((one @ one)[0, 0])  # waits for the device
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def tokens_of(recipe: TrainingRecipe) -> int:
    """Return the size of a recipe's vocabulary. Raises RecipeError where only a tokenizer on disk would tell."""
    size = recipe.text.vocab_size or recipe.vocabulary_size
    if size is None:
        raise RecipeError('give text.vocab_size, or vocabulary_size to learn a tokenizer from the corpus')
    return size


def outline(recipe: TrainingRecipe) -> StreamModel:
    """Return the network on the meta device. Raises RecipeError for shapes that make none."""
    size = tokens_of(recipe)
    try:
        with torch.device('meta'):
            model = build(recipe, size, event_classes=0)
            add_updates(model, recipe.low_rank)
            return model
    except Exception as error:  # whatever transformers and PyTorch raise for impossible shapes
        raise RecipeError(f'audio and text describe no network: {str(error).splitlines()[0]}; correct them') from error


def check_numbers(recipe: TrainingRecipe, devices: int) -> None:
    """Check that batches divide and that streams fit into the context; raise RecipeError where they do not."""
    for stage in recipe.stages:
        recipe.accumulation_on(stage, devices)
    if recipe.encoder is not None and recipe.encoder.batch < devices:
        raise RecipeError(
            f'stage 0 has batches of {recipe.encoder.batch} crops and there are {devices} processes; give each a crop '
            'at least, or start fewer'
        )
    longest = _max_chunks(recipe) * (tokens_a_chunk(recipe.chunk_samples) + 1) + _PREFIX
    if longest > recipe.max_positions:
        raise RecipeError(
            f'{_max_chunks(recipe)} chunks are {longest} positions and max_positions is {recipe.max_positions}; '
            'give more positions or shorter streams (streams_corpus.performance.max_chunks)'
        )
    if recipe.max_positions > (most := recipe.text.max_position_embeddings):
        raise RecipeError(f'max_positions is {recipe.max_positions} and text.max_position_embeddings {most}; lower it')


def _max_chunks(recipe: TrainingRecipe) -> int:
    return math.ceil(recipe.streams_corpus.performance.max_chunks * CHUNK_SAMPLES / recipe.chunk_samples)


def plan(recipe: TrainingRecipe, hardware: Hardware, corpus_hours: float | None = None) -> dict[str, object]:
    """Return the dry run: what each stage trains, bytes on each GPU, host and disk, in decimal GB, and hours.

    `corpus_hours`: of the corpus, where they are not the recipe's. Raises RecipeError where the GPUs' memory would not
    hold a stage, or the numbers cannot work.
    """
    devices = hardware.devices
    check_numbers(recipe, devices)
    model = outline(recipe)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters() if 'event_head' not in name}
    parameters = sum(sizes.values())
    forward = ForwardOperations.of(model)
    parts: tuple[TrainablePart, ...] = ('encoder', 'adapter', 'embeddings', 'language_model', 'lm_head')
    counted = {part: sum(n for name, n in sizes.items() if is_trainable(name, (part,), False)) for part in parts}
    counted['language_model'] -= counted['embeddings'] + counted['lm_head']
    stages, hours, most_trained = [], 0.0, 0
    for stage in recipe.stages:
        trained = sum(
            n for name, n in sizes.items() if is_trainable(name, stage.trainable, False, recipe.low_rank.parts)
        )
        needed = bytes_on_each(recipe, stage, parameters, trained, devices)
        total = sum(needed.values())
        streams = recipe.streams_a_step(stage)
        targets = recipe.max_positions - _PREFIX - tokens_a_chunk(recipe.chunk_samples) * _max_chunks(recipe)
        operations = streams * forward.of_step(
            stage, recipe.max_positions, recipe.max_positions**2, _max_chunks(recipe), targets
        )
        stage_hours = stage.steps * operations / (devices * PEAK_FLOPS[hardware.gpu] * PLANNED_UTILISATION) / 3_600
        hours, most_trained = hours + stage_hours, max(most_trained, trained)
        stages.append(
            {
                'stage': stage.name,
                'trainable': list(stage.trainable),
                'trainable_parameters': trained,
                'steps': stage.steps,
                'streams_a_step': streams,
                'accumulation': recipe.accumulation_on(stage, devices),
                'audio_hours_at_most': round(stage.steps * streams * _max_chunks(recipe) * recipe.chunk_s / 3_600),
                'hours_at_most': round(stage_hours, 2),
                'days_at_most': round(stage_hours / 24, 2),
                'gb_per_gpu': _gb(needed),
            }
        )
        if total > hardware.memory_gb * 1e9:
            raise RecipeError(
                f"stage '{stage.name}' needs {total / 1e9:.1f} GB on each of {devices} GPUs and "
                f'{hardware.memory_gb:g} GB are there; lower batch (and raise accumulation), use more GPUs, or turn '
                'gradient_checkpointing on'
            )
    corpus_hours = recipe.streams_corpus.hours if corpus_hours is None else corpus_hours
    price = hardware.price_an_hour
    return {
        'recipe': recipe.name,
        'parameters': counted | {'total': parameters},
        'devices': devices,
        'gpu': hardware.gpu,
        'memory_gb': hardware.memory_gb,
        'utilisation_assumed': PLANNED_UTILISATION,
        'stages': stages,
        'hours_at_most': round(hours, 2),
        'gpu_hours_at_most': round(hours * devices, 1),
        **({} if price is None else {'cost_at_most': round(hours * devices * price, 2)}),
        'corpus_hours': corpus_hours,
        'host_gb_per_process': _gb(bytes_on_host(recipe, parameters, most_trained, devices, corpus_hours)),
        'disk_gb': _gb(bytes_on_disk(recipe, parameters, most_trained, corpus_hours)),
    }


def _gb(needed: dict[str, float]) -> dict[str, float]:
    return {name: round(value / 1e9, 2) for name, value in (needed | {'total': sum(needed.values())}).items()}


def bytes_on_host(
    recipe: TrainingRecipe, parameters: int, trained: int, devices: int, corpus_hours: float
) -> dict[str, float]:
    """Return the bytes that a process has in its host's memory at most, by what they hold.

    `trained`: parameters of the stage that trains most.
    """
    streams = corpus_hours * 3_600 / _STREAM_S
    # In float32 until they are moved to the GPU, and beside them those that they start from.
    begun = recipe.vocabulary_size is None or recipe.init is not None
    of_a_stream = 4 * _max_chunks(recipe) * recipe.chunk_samples + 3 * 8 * recipe.max_positions
    read = max(stage.batch * recipe.accumulation_on(stage, devices) for stage in recipe.stages)
    return {
        'weights_at_start': 4.0 * parameters * (1 + begun),
        # Beside the rows: what each stage's check and its sampler choose, and an epoch's order.
        'index': streams * (ROW.itemsize + 3 * _PLACE_BYTES),
        'state': 12.0 * math.ceil(trained / devices),  # its share of it, while it is written
        'batches': float((STEPS_AHEAD + 1) * read * of_a_stream),
        'libraries': float(_PROCESS_BYTES),
    }


def bytes_on_disk(recipe: TrainingRecipe, parameters: int, trained: int, corpus_hours: float) -> dict[str, float]:
    """Return the bytes of corpus, run and checkpoint at most; `trained`: parameters of the stage that trains most."""
    return {
        'corpus': corpus_hours * _CORPUS_BYTES_AN_HOUR,
        'index': corpus_hours * 3_600 / _STREAM_S * (ROW.itemsize + _RECORD_BYTES),
        # The one before is removed when the next is there.
        'states': 2.0 * 12 * trained,
        'finished_stages': 2.0 * parameters * len(recipe.stages),
        'checkpoint': (2.0 if recipe.weights == 'float16' else 4.0) * parameters,
    }


def bytes_on_each(
    recipe: TrainingRecipe, stage: Stage, parameters: int, trained: int, devices: int
) -> dict[str, float]:
    """Return the bytes on one GPU, by what they hold.

    All weights in bfloat16, the longest batch's activations, and divided (ZeRO-2) the gradients and the optimiser's
    float32 state of the `trained` parameters.
    """
    share = math.ceil(trained / devices)
    text, audio = recipe.text, recipe.audio
    positions = stage.batch * recipe.max_positions
    hidden, ffn, layers = text.hidden_size, text.intermediate_size, text.num_hidden_layers
    queries, keys = (text.head_size * heads for heads in (text.num_attention_heads, text.num_key_value_heads))
    # Two norms (in float32 inside), two residual sums; q, and attention's output; k and v; the gated MLP.
    layer = positions * 2 * (10 * hidden + 2 * queries + 2 * keys + 4 * ffn)
    if text.model_type == 'qwen3':  # a norm of each head, in float32 inside
        layer += positions * 2 * 4 * (queries + keys)
    # With checkpointing a layer keeps its input, and one at a time has all its values and their gradients.
    kept = layers * positions * 2 * hidden + 2 * layer if recipe.optimiser.gradient_checkpointing else layers * layer
    audio_positions = tokens_a_chunk(recipe.chunk_samples) * _max_chunks(recipe)
    targets = stage.batch * (recipe.max_positions - _PREFIX - audio_positions)
    vocabulary = text.vocab_size or recipe.vocabulary_size or 0
    logits = targets * vocabulary * (2 + 4 + 4 + 4 + 2)  # bfloat16, float32, their softmax, and the gradients
    frames = stage.batch * _max_chunks(recipe) * audio.n_window
    # Keys and values once more for every chunk that looks back at them.
    tower_layer = frames * 2 * ((8 + 2 * audio.left_context_chunks) * audio.d_model + 2 * audio.encoder_ffn_dim)
    tower = tower_layer * (audio.encoder_layers if 'encoder' in stage.trainable else 2)
    return {
        'weights': 2.0 * parameters,
        # Its share, in float32 too when it is applied, and two buckets under way.
        'gradients': 6.0 * share + 2 * 2 * min(trained, ZERO_BUCKET),
        'optimiser': 12.0 * share + 2 * min(trained, ZERO_BUCKET),  # weights, mean, variance; a bucket to gather
        'activations': float(kept + logits + tower),
        'reserved': float(_RESERVED_BYTES),
    }
