"""A whole run: corpus → tokenizer, index, stage 0 if there is one, the stages, a checkpoint directory.

Everything that was finished is found again in the run's folder, so the same command goes on after any interruption.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from audio_interaction_ros.audio.logmel import HOP_SAMPLES, CausalLogMel
from audio_interaction_ros.model.checkpoint import PROTOCOL, TOKENIZER, load_decoder, load_encoder
from audio_interaction_ros.model.network import EventHead
from training.clips.store import ClipStore
from training.files import write_tensors, write_whole
from training.random_streams import Purpose, torch_seed
from training.recipe import TrainingRecipe, load_training_recipe
from training.recipe_file import RecipeError
from training.speech.spoken import SPEECH
from training.stages import TrainingError
from training.stages.budget import check_numbers
from training.stages.change import Bases, Changed
from training.stages.collator import StreamCollator
from training.stages.crops import CropSource, crop_samples
from training.stages.distributed import Devices
from training.stages.event_head import fit_event_head
from training.stages.export import Export, event_classes
from training.stages.generated import GeneratedEvaluation
from training.stages.listening import ListeningTask, Teacher
from training.stages.loop import StageRun, run_stage, validate
from training.stages.low_rank import add_updates
from training.stages.model import StreamModel, build
from training.stages.preparation import CLASSES, Files, prepare
from training.stages.pretrained import PretrainedTower
from training.stages.pretrained_text import PretrainedText
from training.stages.state import is_under_way
from training.stages.stream_task import StreamTask
from training.stages.task import TrainingTask

WEIGHTS, _FIGURES = 'model.safetensors', 'figures.json'  # of a stage that was finished
EVENT_HEAD = 'event-head.safetensors'  # of a run


def train(files: Files, stop_after_s: float | None = None) -> dict[str, object]:
    """Run every stage that the run's folder does not hold yet and write the checkpoint.

    Return what was reached: `finished` is False where time ran out before. Raises TrainingError, RecipeError,
    CheckpointError or CorpusError before any training where something cannot work.
    """
    recipe = load_training_recipe(files.recipe)
    if files.out is not None and recipe.chunk_samples != CHUNK_SAMPLES:
        raise RecipeError(f'chunk_ms is {recipe.chunk_ms}; this package streams {1_000 * CHUNK_S:g} ms, give that')
    tower, text = _pretrained(recipe, files)
    bases = Bases.open(recipe) if recipe.change else None
    devices = Devices.join()
    check_numbers(recipe, devices.world)
    deadline = time.monotonic() + stop_after_s if stop_after_s is not None else None

    def stop() -> bool:
        return deadline is not None and time.monotonic() > deadline

    prepared = prepare(recipe, files, text, devices)
    tokenizer, protocol, classes, dataset = prepared.tokenizer, prepared.protocol, prepared.classes, prepared.dataset
    teachers = [stage.text_teacher for stage in recipe.stages]
    requests = [None if teacher is None else teacher.request for teacher in teachers]
    if not classes:
        raise TrainingError(
            f"nothing sounds but speech on the training side of '{files.corpus}', and the event head names sounds; "
            "build it with an ability that has some, such as 'proactive respond'"
        )
    collators = [
        StreamCollator(dataset, stage.data, tokenizer, protocol, recipe.instruction, classes, request)
        for stage, request in zip(recipe.stages, requests, strict=True)
    ]
    for collator in collators:  # before hours are lost
        dataset.select(collator.data, 'train', recipe.max_positions)
    model, logmel = _network(recipe, files, tokenizer, classes)
    if tower is not None:
        tower.fill(model.audio_tower)
    if text is not None:
        text.fill(model.language_model)
    torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, recipe.seed, 2))
    add_updates(model, recipe.low_rank)
    if bases is not None:  # before hours are lost
        Changed.by(recipe, model, bases).require_small(recipe, (files.run / TOKENIZER).stat().st_size)
    model.to(devices.device)
    logmel.to(devices.device)

    longest = int(dataset.rows['chunks'].max())
    export = Export(recipe, files, logmel, tokenizer, protocol, event_classes(classes), longest)
    generated = None if recipe.generated is None else GeneratedEvaluation(recipe.generated, export, dataset, devices)

    def stream_task(number: int) -> StreamTask:
        return StreamTask(recipe, number, model, logmel, collators[number - 1], devices, generated)

    reached: dict[str, dict[str, float]] = {}
    for number in range(0 if recipe.encoder else 1, len(recipe.stages) + 1):
        folder = stage_folder(files.run, recipe, number)
        part = model if number else model.audio_tower
        if not (folder / WEIGHTS).exists():
            task: TrainingTask[Any] = (
                stream_task(number) if number else _listening_task(recipe, model, logmel, files, devices)
            )
            if not run_stage(task, StageRun(recipe, number, devices, folder, stop)):
                return {'finished': False, 'stage': task.name, 'run': str(files.run)}
            task.finish(folder)
            figures = validate(task)
            if devices.is_main:
                write_whole(folder / _FIGURES, json.dumps(figures, indent=1).encode())
                write_tensors(part.state_dict(), folder / WEIGHTS)
            devices.barrier()
        part.load_state_dict(load_file(folder / WEIGHTS, device=str(devices.device)))
        if (folder / _FIGURES).exists():
            reached[recipe.stage_name(number)] = json.loads((folder / _FIGURES).read_text())
    summary = {'streams': len(dataset.rows), 'streams_left_out': prepared.left_out, 'validation': reached}
    if files.out is None:
        return {'finished': True, 'run': str(files.run)} | summary
    head = _event_head(recipe, model, logmel, files, classes, devices)
    deciding = stream_task(len(recipe.stages)).deciding(export.events, head)
    if devices.is_main:
        export.write(files.out, model, deciding, bases, head)
    devices.barrier()
    return {'finished': True, 'checkpoint': str(files.out)} | deciding.model_dump(exclude_none=True) | summary


def _pretrained(recipe: TrainingRecipe, files: Files) -> tuple[PretrainedTower | None, PretrainedText | None]:
    """What audio tower and language model start from; None where nothing, or what a finished stage made goes on."""
    for key, part, named in (('init', 'audio tower', recipe.init), ('text_init', 'language model', recipe.text_init)):
        if named is not None and files.start is not None:
            raise RecipeError(
                f"recipe '{recipe.name}' starts its {part} from '{named}' and --start names '{files.start}'; "
                f'take {key} out of the recipe, or leave --start out'
            )
    tower, text = None, None
    if recipe.init is not None and not (stage_folder(files.run, recipe, 0 if recipe.encoder else 1) / WEIGHTS).exists():
        tower = PretrainedTower.open(recipe.init)
        tower.require_fit(recipe)
    # Stage 0 keeps the tower alone.
    if recipe.text_init is not None and not (stage_folder(files.run, recipe, 1) / WEIGHTS).exists():
        text = PretrainedText.open(recipe.text_init)
        text.require_fit(recipe)
    return tower, text


def stage_folder(run: Path, recipe: TrainingRecipe, number: int) -> Path:
    """Return where a run keeps one of its stages, counted from 1, or stage 0; once finished it has WEIGHTS there."""
    return run / f'{number}-{recipe.stage_name(number)}'


def begin_like(run: Path, recipe: TrainingRecipe, other: Path, encoder: bool) -> None:
    """Give a run, before it begins, another's tokenizer and event classes, and its stage 0 if `encoder`.

    What differs between the two is then the one thing that they are to be compared for.
    """
    stage_0 = str(stage_folder(Path(), recipe, 0) / WEIGHTS)
    # The classes last: where they are, nothing is made anew.
    for name in (*([stage_0] if encoder else []), TOKENIZER, PROTOCOL, CLASSES):
        if not (run / name).exists():
            write_whole(run / name, (other / name).read_bytes())


def take_encoder(run: Path, recipe: TrainingRecipe, start: Path) -> None:
    """Give a run, before it begins, a checkpoint's encoder in place of its stage 0."""
    weights = stage_folder(run, recipe, 0) / WEIGHTS
    if not weights.exists():
        write_tensors(load_encoder(start, dtype=torch.float32).encoder.audio_tower.state_dict(), weights)


def _network(
    recipe: TrainingRecipe, files: Files, tokenizer: Tokenizer, classes: Sequence[str]
) -> tuple[StreamModel, CausalLogMel]:
    torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, recipe.seed, 0))
    model = build(recipe, tokenizer.get_vocab_size(), len(classes))
    if files.start is None:
        return model, CausalLogMel(recipe.audio.num_mel_bins, recipe.log_mel)
    encoder = load_encoder(files.start, dtype=torch.float32).encoder
    decoder = load_decoder(files.start, dtype=torch.float32)
    try:
        model.audio_tower.load_state_dict(encoder.audio_tower.state_dict())
        model.language_model.load_state_dict(decoder.language_model.stock_state())
    except RuntimeError as error:
        problem = str(error).splitlines()[1].strip()
        raise TrainingError(f"'{files.start}' has other shapes than recipe '{recipe.name}': {problem}") from error
    return model, encoder.logmel


def _event_head(
    recipe: TrainingRecipe,
    model: StreamModel,
    logmel: CausalLogMel,
    files: Files,
    classes: Sequence[str],
    devices: Devices,
) -> EventHead | None:
    """The event head that the recipe asks for, which a run that ended behind it has already."""
    if recipe.event_head is None:
        return None
    kept = files.run / EVENT_HEAD
    if not kept.exists():
        head = fit_event_head(
            recipe.event_head, model.audio_tower, logmel, _crop_source(files, 'train'), classes, recipe.seed, devices
        )
        if devices.is_main:
            write_tensors(head.state_dict(), kept)
        devices.barrier()
    head = EventHead(recipe.audio.output_dim, len(classes))
    head.load_state_dict(load_file(kept))
    return head.requires_grad_(False).eval()


def _crop_source(files: Files, split: str) -> CropSource:
    clips, speech = (ClipStore(files.corpus / folder) for folder in ('library/clips', SPEECH))
    return CropSource(clips, speech, split)


def _listening_task(
    recipe: TrainingRecipe, model: StreamModel, logmel: CausalLogMel, files: Files, devices: Devices
) -> ListeningTask:
    assert recipe.encoder is not None  # else there is no stage 0
    train, held_out = (_crop_source(files, split) for split in ('train', 'validation'))
    teacher = None
    if recipe.encoder.teacher_weight:  # the model's tower is as `init` has it, whatever state this goes on from
        teacher = Teacher(model.audio_tower, crop_samples(recipe.chunk_samples) // HOP_SAMPLES)
    task = ListeningTask(recipe, recipe.encoder, model.audio_tower, logmel, train, held_out, devices, teacher)
    if recipe.init is not None and not is_under_way(stage_folder(files.run, recipe, 0)):
        task.begin_projection()
    return task
