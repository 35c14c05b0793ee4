"""`python -m training train`: recipe + clip library → checkpoint directory, stage after stage, resumable."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from audio_interaction_ros.model.checkpoint import StreamingDefaults, save_checkpoint
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from training.corpus import sounds, speech
from training.corpus.clips import load_library, split, write_attributions
from training.corpus.one_clip import OneClip, one_clip_streams
from training.evaluate.figures import SILENCE_WEIGHT, area_under_roc, balanced_accuracy, best_threshold
from training.recipe import Recipe, load_recipe
from training.stages.encoder import SoundClassifier, classifier_accuracy, classifier_losses
from training.stages.streams import StreamModel, StreamTask
from training.stages.trainer import run_stage
from training.tokens import make_tokenizer


def sound_pools(recipe: Recipe, library: Path, run: Path) -> tuple[sounds.SoundPool, list[sounds.Sound]]:
    """The training pool and the validation recordings, made once and kept in `run`/sounds."""
    kept = run / 'sounds'
    if not (kept / 'validation' / 'index.json').exists():
        training, validation = split(load_library(library))
        corpus = recipe.corpus
        sounds.save_sounds(
            [
                *sounds.recorded(training, corpus.clip_variants, recipe.seed),
                *sounds.procedurally_made(corpus.procedural_renders, 0.6, recipe.seed),
                *sounds.spoken(corpus.utterances, speech.TRAIN_VOICES, recipe.seed),
            ],
            kept / 'training',
        )
        sounds.save_sounds(sounds.recorded(validation, 0, recipe.seed), kept / 'validation')
    return sounds.SoundPool(sounds.load_sounds(kept / 'training')), sounds.load_sounds(kept / 'validation')


def train(recipe_file: Path, library: Path, run: Path, out: Path) -> None:
    """Run every stage of a recipe that `run` does not hold yet, then write the checkpoint to `out`."""
    recipe = load_recipe(recipe_file)
    run.mkdir(parents=True, exist_ok=True)
    pool, validation = sound_pools(recipe, library, run)
    torch.manual_seed(recipe.seed)
    encoder = ChunkEncoder(AudioConfig(**recipe.audio))
    classifier = SoundClassifier(encoder, pool.categories)
    run_stage(
        'encoder',
        classifier,
        recipe.encoder,
        lambda step: classifier_losses(classifier, pool, recipe.encoder, recipe.seed, step),
        run,
        lambda: classifier_accuracy(classifier, validation),
        validate_every=300,
    )

    answers = sounds.load_answers()
    sentences = [sentence for answer in answers.values() for sentence in answer.sentences]
    tokenizer, protocol = make_tokenizer([recipe.instruction, *sentences], recipe.vocabulary_size)
    prefix = protocol.prefix(tokenizer.encode(recipe.instruction).ids)
    language_model = Qwen2ForCausalLM(Qwen2Config(**recipe.text, vocab_size=tokenizer.get_vocab_size()))
    model = StreamModel(encoder, language_model, protocol, pool.categories)
    task = StreamTask(pool, answers, tokenizer, prefix, recipe.corpus.respond_share, recipe.seed)
    streams = one_clip_streams(validation, recipe.seed)
    for number, stage in enumerate(recipe.streams, 1):
        encoder.requires_grad_(stage.train_encoder)
        run_stage(
            f'streams-{number}',
            model,
            stage,
            functools.partial(task.losses, model, stage, number),
            run,
            lambda: trigger_figures(model, prefix, streams),
            validate_every=100,
        )

    scores, labels = clip_scores(model, prefix, streams), [stream.sound.respond for stream in streams]
    threshold = best_threshold(labels, scores, silence_weight=SILENCE_WEIGHT)
    save_checkpoint(
        out,
        encoder,
        language_model,
        TextConfig(**language_model.config.to_diff_dict()),
        tokenizer,
        protocol,
        StreamingDefaults(
            instruction=recipe.instruction,
            response_threshold=round(threshold, 3),
            max_context_chunks=recipe.max_context_chunks,
        ),
        recipe_file,
    )
    write_attributions(
        (clip for clip in split(load_library(library))[0] if sounds.usable(clip)), out / 'ATTRIBUTIONS.csv'
    )


def clip_scores(model: StreamModel, prefix: list[int], streams: list[OneClip]) -> list[float]:
    """Highest P(response) while an answer to the clip would be in place."""
    scores: list[float] = []
    for start in range(0, len(streams), 32):
        batch = streams[start : start + 32]
        waveforms = torch.from_numpy(np.stack([stream.samples for stream in batch]))
        probabilities = model.response_probabilities(waveforms, prefix)
        scores += [
            float(row[list(stream.answer_chunks)].max()) for row, stream in zip(probabilities, batch, strict=True)
        ]
    return scores


def trigger_figures(model: StreamModel, prefix: list[int], streams: list[OneClip]) -> dict[str, float]:
    """How well P(response) tells recordings that deserve an answer from the others."""
    scores, labels = clip_scores(model, prefix, streams), [stream.sound.respond for stream in streams]
    fold = [i for i, stream in enumerate(streams) if stream.sound.source_id.startswith('freesound:')]
    threshold = best_threshold(labels, scores)
    return {
        'auc': area_under_roc(labels, scores),
        'auc_esc10': area_under_roc([labels[i] for i in fold], [scores[i] for i in fold]),
        'balanced_accuracy_at_best': balanced_accuracy(labels, [score >= threshold for score in scores]),
        'best_threshold': threshold,
    }
