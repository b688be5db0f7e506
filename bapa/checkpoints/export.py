"""A checkpoint that carries its scheme: for everyone with bapa, and, by a file of code beside it, for everyone
without.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bapa.attach.api import balance, scheme_of
from bapa.checkpoints import card, remote
from bapa.checkpoints.load import Loaded
from bapa.errors import RunError, SchemeError
from bapa.families import facts as families
from bapa.families.anatomy import Anatomy, find
from bapa.schemes import NATIVE, Scheme, parse
from bapa.schemes.bapa import Bapa
from bapa.schemes.calibrated import Calibrated

CODE = "modeling_bapa"  # name of the file of code, as a module


def export(
    model: Loaded,
    out: str | Path,
    scheme: str | Scheme | None = None,
    *,
    self_contained: bool = False,
    run: str | Path | None = None,
) -> Path:
    """Write ``model`` to the folder ``out``: weights (an adapter is merged into them), processor, the scheme in
    ``config.json``, and a model card.

    ``model``: from :func:`bapa.checkpoints.load`; left balanced, and merged. ``scheme``: by default the one it runs
    under; a tuned model cannot be exported under another. ``self_contained``: also write the code that loads it
    balanced where bapa is not installed (``trust_remote_code=True``). ``run``: a run of
    ``bapa measure`` whose figures go into the card.

    Raises SchemeError where the scheme is not the one a model was tuned under, or a self-contained checkpoint cannot
    express it; RunError where ``out`` is not empty.
    """
    running = scheme_of(model.model) or NATIVE
    chosen = parse(scheme) if scheme is not None else running
    merged: Any = model.model
    if hasattr(merged, "merge_and_unload"):
        if chosen != running:
            raise SchemeError(f"{model.name} was tuned under {running}; export it under that, not under {chosen}")
        merged = merged.merge_and_unload()
    balance(merged, chosen)
    code = _code(find(merged), chosen) if self_contained else None
    with _new(Path(out)) as folder:
        merged.save_pretrained(folder)
        model.processor.save_pretrained(folder)
        if code is not None:
            (folder / f"{CODE}.py").write_text(code, "utf-8")
            config = json.loads((folder / "config.json").read_text("utf-8"))
            config["auto_map"] = {"AutoModelForImageTextToText": f"{CODE}.{type(merged).__name__}"}
            (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
        (folder / "README.md").write_text(card.card(model, chosen, run, self_contained), "utf-8")
    return Path(out)


def _code(anatomy: Anatomy, scheme: Scheme) -> str:
    """The source of :mod:`bapa.checkpoints.remote` with the facts of this model filled in."""
    model, config = anatomy.model, anatomy.model.config
    if not isinstance(scheme, Bapa | Calibrated) or scheme.scope != "image" or scheme.image_attention != "native":
        raise SchemeError(
            f"a self-contained checkpoint holds the rules bapa and calibrated with their distances only, not {scheme}; "
            "export it without --self-contained and load it with bapa.from_pretrained"
        )
    if config.model_type in families.JOINED:
        raise SchemeError(
            f"{type(model).__name__} writes an image in several pieces, which a self-contained checkpoint does not "
            "join; export it without --self-contained and load it with bapa.from_pretrained"
        )
    paths = {part: name for name, part in model.named_modules()}
    facts: dict[str, Any] = {
        **_rule(scheme, anatomy),
        "OUTER": paths[anatomy.outer],
        "ROTARIES": tuple(paths[rotary] for rotary in anatomy.rotaries),
        "PICTURES": tuple(sorted(anatomy.pictures)),
        "TOKENS": tuple(anatomy.tokens.tolist()),
        "SIDE_BY_SIDE": config.model_type in families.SINGLE,
    }
    source = Path(remote.__file__).read_text("utf-8")
    for placeholder in (remote.BalancedModel.__bases__[0].__name__, remote.BalancedModel.__name__):
        source = source.replace(placeholder, type(model).__name__)
    for name, value in facts.items():
        source, found = re.subn(rf"^({name}\b[^=]*= ).*$", rf"\g<1>{value!r}", source, flags=re.MULTILINE)
        if found != 1:
            raise RuntimeError(f"bapa/checkpoints/remote.py sets {name} {found} times; it must do so once")
    return source


def _rule(scheme: Bapa | Calibrated, anatomy: Anatomy) -> dict[str, Any]:
    """``scheme`` in the words of :mod:`bapa.checkpoints.remote`. bapa is a point of its family, told in tokens."""
    if isinstance(scheme, Bapa):
        multiple = 1.0 if scheme.distance == "native" else None
        return _numbers(scheme.distance, multiple) | {"FROM_MIDDLE": False, "DELTA": 0, "MERGE": None}
    gridded = scheme.on_axes(anatomy.axes) is not scheme
    return _numbers(scheme.distance, scheme.multiple) | {
        "FROM_MIDDLE": scheme.about == "middle",
        "DELTA": scheme.delta,
        "MERGE": anatomy.model.config.vision_config.spatial_merge_size if gridded else None,
    }


def _numbers(distance: float | str, multiple: float | None) -> dict[str, Any]:
    return {"DISTANCE": distance if multiple is None else 1, "MULTIPLE": multiple}


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A folder to write to, which becomes ``out`` whole or not at all."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is not empty; name a new folder: --out FOLDER")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed export
    partial.mkdir(parents=True)
    yield partial
    partial.replace(out)
