"""``--backend``: what runs a model that is measured."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from bapa.cli.options import assignment
from bapa.errors import ConfigError

if TYPE_CHECKING:
    from bapa.checkpoints import Loaded
    from bapa.checkpoints.chat import Chat
    from bapa.checkpoints.options import LoadOptions
    from bapa.inference.vllm import EngineModel


class Backend(str, Enum):
    """What runs a model: transformers in this process, or vLLM engines."""

    hf = "hf"
    vllm = "vllm"

    def load(
        self,
        name: str,
        *,
        device: str,
        dtype: str | None,
        engine: Sequence[str] | None,
        trust_remote_code: bool,
        chat: Chat,
        options: LoadOptions,
    ) -> Loaded | EngineModel:
        """The model called ``name``. ``engine``: arguments of vLLM's engine, as ``name=value``.

        Raises ConfigError where an option is not for this back end.
        """
        if self is Backend.hf:
            from bapa.checkpoints import load

            if engine:
                raise ConfigError(f"--engine {engine[0]} is for --backend vllm")
            return load(
                name, device=device, dtype=dtype, trust_remote_code=trust_remote_code, chat=chat, options=options
            )
        from bapa.integrations.vllm.loading import load_engine

        if device not in ("auto", "cpu"):
            raise ConfigError(f"--device {device}: vLLM runs on the device it was built for; leave the option out")
        if options.record:
            raise ConfigError(f"--load {next(iter(options.record))} is for --backend hf; vLLM's are given by --engine")
        arguments = dict(assignment("--engine", text, "max_model_len=4096") for text in engine or ())
        if dtype is not None:
            arguments["dtype"] = dtype
        return load_engine(name, trust_remote_code=trust_remote_code, chat=chat, **arguments)
