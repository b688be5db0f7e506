"""A model that is asked through vLLM's engines (:mod:`bapa.inference.vllm`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bapa.checkpoints import weights
from bapa.checkpoints.chat import Chat
from bapa.checkpoints.locate import folder_of, locate
from bapa.checkpoints.processor import digests
from bapa.errors import ModelError
from bapa.inference.vllm import EngineModel
from bapa.integrations.vllm import engine as engines


def load_engine(name: str, *, trust_remote_code: bool = False, chat: Chat | None = None, **options: Any) -> EngineModel:
    """The model called ``name`` (a folder, a hub id, ``reference:NAME``) for vLLM engines; starts none yet.

    ``chat``: how it is addressed. ``options``: arguments of :class:`vllm.LLM`, such as ``dtype``, ``max_model_len``,
    ``tensor_parallel_size``; ``revision`` is the branch, tag or commit of the hub that is downloaded.

    Raises IntegrationError where vLLM is not installed, ModelError where there is no such model, ConfigError for a
    revision of a folder.
    """
    engines.require()
    from transformers import AutoProcessor

    revision = options.pop("revision", None)
    if revision is not None:
        options["revision"] = revision = str(revision)  # for the record; a tag such as 2024 was read as a number
    folder = engines.folder_of(name, revision)
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"cannot load the processor of {name!r}: {str(error).strip().splitlines()[0]}") from error
    if trust_remote_code:
        options["trust_remote_code"] = True
    original = folder_of(replace(locate(name), revision=revision))  # where ``folder`` is a copy for vLLM
    fingerprint, files = weights.fingerprint(original), digests(original)
    return EngineModel(name, folder, processor, fingerprint, engines, options, chat or Chat(), files)
