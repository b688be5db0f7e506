"""One tuning run: trl's trainer on a model under a scheme, measured on a probe before, meanwhile and after."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PrinterCallback
from transformers.integrations import get_reporting_integration_callbacks
from trl import SFTConfig, SFTTrainer

from bapa.attach import balance
from bapa.checkpoints import Loaded, weights
from bapa.checkpoints.adapter import Base, new_adapter, save_adapter
from bapa.errors import ConfigError
from bapa.families.anatomy import find
from bapa.inference.processes import joined
from bapa.probe import Probe
from bapa.schemes import Scheme, parse
from bapa.tune.collator import Collator
from bapa.tune.data import Data
from bapa.tune.evaluate import Bar, Evaluation, Marker, check
from bapa.tune.folder import CHECKPOINTS, EVALUATIONS, Folder
from bapa.tune.settings import Settings


def tune(
    model: Loaded,
    data: Data,
    out: str | Path,
    *,
    scheme: str | Scheme = "bapa",
    settings: Settings | None = None,
    probe: Probe | None = None,
    evaluate_every: int = 0,
    evaluate_items: int | None = None,
    also: Sequence[str] = (),
) -> Path:
    """Train ``model`` on ``data`` under ``scheme`` and write the result to the folder ``out``.

    ``out`` then holds the adapter (or, tuned in full, the model), the processor, and ``tune.json`` with settings, loss
    curve and evaluations; :func:`bapa.report.tuning.write` makes a page of them. Repeated after an interruption, it
    goes on from the last checkpoint. Started by ``accelerate launch``, the processes share the work.

    Args:
        model: from :func:`bapa.checkpoints.load`; it is balanced, wrapped and changed in place.
        data: from :func:`bapa.tune.read`.
        out: new, empty, or holding the same run.
        scheme: the position rule to train under.
        settings: how to train; see :class:`Settings`.
        probe: measured before and after, with a run folder each in ``out/evaluations``.
        evaluate_every: steps between further evaluations; 0 for none.
        evaluate_items: only the first so many items of the probe.
        also: schemes to evaluate besides the one trained under, e.g. ``native``.

    Raises:
        ConfigError: an option that trl does not take, or that does not go with training under a scheme; a row that
            cannot be trained on (every one is tried before training starts), where bad rows are not to be left out.
        SchemeError, UnsupportedModelError: a scheme that does not exist, or does not go with the model.
        RunError: ``out`` holds something else, another process writes to it, or the disk is full.
    """
    settings, scheme = settings or Settings(), parse(scheme)
    if hasattr(model.model, "peft_config"):
        raise ConfigError(f"{model.name} is an adapter already; bapa export it, and tune what comes out")
    if "quantization" in model.options:
        raise ConfigError(
            f"quantization = {model.options['quantization']}: training on weights of a few bits was not tried here; "
            "leave it out, and save memory with --bf16 --gradient-checkpointing"
        )
    if probe is None and (evaluate_every or evaluate_items is not None or also):
        raise ConfigError(
            "--evaluate-every, --evaluate-items and --also say how a probe is measured; name it: --probe PROBE"
        )
    collator = Collator(model.processor, data.open)
    labels = list(dict.fromkeys([scheme.label, *(parse(other).label for other in also)]))
    if probe:
        check(model, probe, labels, evaluate_items)
    config = {
        "model": {"name": model.name, "fingerprint": model.fingerprint, "processor": model.files, **model.options},
        "scheme": scheme.label,
        "data": {"name": data.name, "rows": len(data.rows), "fingerprint": data.fingerprint},
        "settings": asdict(settings),
        "evaluation": probe
        and {"probe": probe.fingerprint, "every": evaluate_every, "items": evaluate_items, "schemes": labels},
    }
    folder = Folder(Path(out), config)
    arguments = _arguments(folder.path / CHECKPOINTS, settings, next(model.model.parameters()).device)
    base = Base(model.name, weights.of_checkpoint(model.fingerprint))
    if folder.finished():
        return folder.path
    data = data.tried(_try(collator, model.model), shown=arguments.process_index == 0)
    balance(model.model, scheme)
    with folder:
        with arguments.main_process_first(local=False):
            if arguments.process_index == 0:
                folder.take()
                folder.drop_parts()
        try:
            trainer = _trainer(model, data, collator, arguments, settings)
            _spread(trainer, model.model, probe)
        except ConfigError:
            if arguments.process_index == 0:
                folder.leave()
            raise
        evaluation = None
        if probe:
            evaluation = Evaluation(model, probe, labels, folder.path / EVALUATIONS, evaluate_every, evaluate_items)
            trainer.add_callback(evaluation)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Marker(scheme, base))
        with folder.on_disk(), Bar() as bar:
            trainer.add_callback(bar)
            last = folder.last_checkpoint()
            trainer.train(resume_from_checkpoint=str(last) if last else None)
            _save(trainer, model.processor, base, folder.result, settings)
            if trainer.accelerator.is_main_process:
                folder.seal_run(
                    [entry for entry in trainer.state.log_history if "loss" in entry],
                    evaluation.results(trainer.state.global_step) if evaluation else [],
                    data.left_out,
                    trainer.accelerator.num_processes,
                    trainer.accelerator.distributed_type.value,
                )
        trainer.accelerator.wait_for_everyone()
    return folder.path


def _try(collator: Collator, model: Any) -> Callable[[dict[str, Any]], None]:
    """What a row goes through in training, up to the model; it raises where the row cannot be trained on."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    def use(row: dict[str, Any]) -> None:
        tokens = collator([row])["input_ids"].shape[1]
        if positions and tokens > positions:
            raise ConfigError(f"it has {tokens} tokens, and the model was made for {positions} positions")

    return use


def _trainer(model: Loaded, data: Data, collator: Collator, arguments: SFTConfig, settings: Settings) -> SFTTrainer:
    """The trainer; ConfigError where an option needs something that is not there."""
    try:
        for reporting in get_reporting_integration_callbacks(arguments.report_to):
            reporting()
        SFTTrainer.get_optimizer_cls_and_kwargs(arguments, model.model)
        return SFTTrainer(
            model=_trainable(model.model, settings),
            args=arguments,
            data_collator=collator,
            train_dataset=data.rows,
            processing_class=collator.processor,
        )
    except (ImportError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"trl cannot train with these options ({' '.join(str(error).split())}); install what it names, or leave "
            "the option out"
        ) from error


def _trainable(model: nn.Module, settings: Settings) -> nn.Module:
    """``model`` with everything frozen but the language model, or with an adapter on all its linear layers."""
    anatomy = find(model)
    if settings.full:
        model.requires_grad_(False)
        for part in (anatomy.decoder, anatomy.model.get_output_embeddings()):
            part.requires_grad_(True)
        return model
    from peft import LoraConfig

    name = next(name for name, part in model.named_modules() if part is anatomy.decoder)
    leaves = {
        layer.rpartition(".")[2] for layer, part in anatomy.decoder.named_modules() if isinstance(part, nn.Linear)
    }
    targets = rf"{re.escape(name)}\..*\.({'|'.join(sorted(leaves))})"
    torch.manual_seed(settings.seed)
    return new_adapter(model, LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=targets))


def _spread(trainer: SFTTrainer, model: nn.Module, probe: Probe | None) -> None:
    """Check how accelerate spreads the work over processes; have FSDP split the decoder layer by layer, unless its
    configuration names classes.

    accelerate would take the names in ``_no_split_modules``, among them parts of encoders that the model has not got.
    """
    for asked, taken in (("FSDP", trainer.is_fsdp_enabled), ("DEEPSPEED", trainer.is_deepspeed_enabled)):
        if os.environ.get(f"ACCELERATE_USE_{asked}") == "true" and not taken:
            raise ConfigError(
                f"accelerate does not use {asked} on {trainer.args.device.type}; name the device, e.g. --device cuda, "
                "or start without that configuration"
            )
        if taken and probe:
            raise ConfigError(
                "a probe is measured with whole weights on every process, which FSDP and DeepSpeed do not keep; "
                "leave out --probe and run bapa measure afterwards"
            )
    if trainer.is_fsdp_enabled:
        head = model.get_output_embeddings()  # type: ignore[operator]
        if any(weight.requires_grad for weight in head.parameters()):
            # trl's loss takes the head's weight past FSDP (full_tensor); on the way back no process sees the others'.
            raise ConfigError(
                "under FSDP trl trains the output head on a part of its gradient, without a word; use DeepSpeed or "
                "torchrun for --full, or tune by LoRA, which leaves the head alone"
            )
        plugin = trainer.accelerator.state.fsdp_plugin
        if not plugin.transformer_cls_names_to_wrap:
            plugin.transformer_cls_names_to_wrap = sorted({type(layer).__name__ for layer in find(model).layers})


def _arguments(folder: Path, settings: Settings, device: torch.device) -> SFTConfig:
    known = SFTConfig.__dataclass_fields__
    if strange := [name for name in settings.options if name not in known]:
        raise ConfigError(f"trl.SFTConfig has no option {strange[0]!r}; see its documentation for the names")
    # The new name in transformers, and the old one.
    checkpointing = next(name for name in ("activation_checkpointing", "gradient_checkpointing") if name in known)
    fields: dict[str, Any] = {
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulate,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps or -1,
        "learning_rate": settings.rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,  # a share of all steps
        "seed": settings.seed,
        "bf16": settings.bf16,
        checkpointing: settings.checkpointing,
        "logging_steps": 1,
        "save_strategy": "steps" if settings.save_every else "no",
        "save_steps": settings.save_every or 1,
        "save_total_limit": 2,
        "use_cpu": device.type == "cpu",
        "report_to": "none",
        "disable_tqdm": True,
        **settings.options,
        "output_dir": str(folder),
        "max_length": None,  # a chat cut short could lose part of its picture
        "remove_unused_columns": False,
    }
    try:
        made = SFTConfig(**fields)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"trl refuses these options: {' '.join(str(error).split())}") from error
    joined()  # SFTConfig has set up the processes
    return made


def _save(trainer: SFTTrainer, processor: Any, base: Base, folder: Path, settings: Settings) -> None:
    """The adapter or the model, and its processor; gathered from all processes, written by the main one."""
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.accelerator.is_main_process:
        return
    tuned = trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_torch_compile=False)
    if settings.full:
        tuned.save_pretrained(folder, state_dict=state)
    else:
        save_adapter(tuned, folder, base=base, state_dict=state)
    processor.save_pretrained(folder)
