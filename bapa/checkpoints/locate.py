"""Where a model called by name is: a shipped reference, a folder, or the hub. A name that leads nowhere is found out
in seconds, before anything is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bapa.checkpoints.adapter import PEFT_FILE
from bapa.errors import ModelError

_ACCEPTED = "a folder of a model or an adapter, a hub id (llava-hf/llava-1.5-7b-hf), reference or reference:NAME"
_CONFIG = "config.json"
_SECONDS = 10  # that the hub may take to say whether it has a model


@dataclass(frozen=True)
class Place:
    """What transformers is to load: a folder or hub ``path``; ``cached``: only from the cache, as the hub cannot be
    reached; ``revision``: which of the hub's, None for its main one.
    """

    path: str
    cached: bool = False
    revision: str | None = None


def locate(name: str) -> Place:
    """The place of the model called ``name``.

    Raises ModelError where there is none, or the hub has to be asked and cannot be reached.
    """
    folder = Path(local(name)).expanduser()
    if name.partition(":")[0] == "reference":
        return Place(str(folder))
    if folder.is_dir() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        return Place(_checked(name, folder))
    return Place(name, cached=_on_hub(name))


def local(name: str) -> str:
    """``name`` as transformers takes it: the folder of a shipped reference, a local folder, else a hub id as it is."""
    kind, _, which = name.partition(":")
    if kind == "reference" and not Path(name).exists():
        from bapa import reference

        return str(reference.path(which or "bottom"))
    folder = Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def folder_of(place: Place) -> Path:
    """The local folder of a model: a folder as it is, else its snapshot in the hub's cache.

    Raises ModelError where a hub model is not in the cache.
    """
    folder = Path(place.path)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(place.path, revision=place.revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{place.path} is not in the local cache of the hub; load it once: bapa doctor {place.path}"
        ) from error


def present(place: Place) -> Path | None:
    """The local folder of a model, where it is what loading would take; None where the hub has another by now, or files
    have to be fetched.
    """
    if Path(place.path).is_dir():
        return Path(place.path)
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    client: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # as below
    try:
        folder = folder_of(place)
        url = hf_hub_url(place.path, _CONFIG, revision=place.revision)
        same = place.cached or get_hf_file_metadata(url, timeout=_SECONDS).commit_hash == folder.name
    except (ModelError, errors.HfHubHTTPError, client, OSError):  # loading says what is wrong
        return None
    return folder if same else None


def announce(place: Place) -> int:
    """Bytes of a hub model's weights; says on stderr how many of them are about to be downloaded."""
    from huggingface_hub import snapshot_download
    from rich.console import Console

    files = snapshot_download(place.path, revision=place.revision, dry_run=True, allow_patterns="model*.safetensors")
    missing = sum(file.file_size or 0 for file in files if file.will_download)
    if missing:
        Console(stderr=True).print(f"downloading {place.path}: {missing / 1e9:.1f} GB", highlight=False, markup=False)
    return sum(file.file_size or 0 for file in files)


def _checked(name: str, folder: Path) -> str:
    if any((folder / file).is_file() for file in (_CONFIG, PEFT_FILE)):
        return str(folder)
    found = f"no {_CONFIG} in it" if folder.is_dir() else "no such folder"
    raise ModelError(f"{name}: {found}{_meant(name, folder)}; accepted: {_ACCEPTED}")


def _on_hub(name: str) -> bool:
    """Whether the copy in the cache must do. One request, not repeated: transformers itself would ask for many files,
    each several times over.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    client: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of whichever client the hub stands on

    try:
        cached = isinstance(try_to_load_from_cache(name, _CONFIG), str)
        get_hf_file_metadata(hf_hub_url(name, _CONFIG), timeout=_SECONDS)
        return False
    except errors.HFValidationError as error:
        reason = f"no such folder, and no hub id ({str(error).rstrip('.')})"
    except errors.GatedRepoError:
        reason = "the hub has it behind a gate; ask for access on its page, then: hf auth login"
    except errors.HfHubHTTPError:
        reason = "no such folder, and no such model on the hub (one that is private needs: hf auth login)"
    except (client, OSError) as error:  # no network, or told to do without
        if cached:
            return True
        reason = f"no such folder, not in the cache, and the hub cannot be reached ({' '.join(str(error).split())})"
    raise ModelError(f"{name}: {reason}{_meant(name, Path(name))}; accepted: {_ACCEPTED}")


def _meant(name: str, folder: Path) -> str:
    """Names like ``name`` that would do."""
    from bapa.reference import NAMES

    near = [path for path in (folder.parent.iterdir() if folder.parent.is_dir() else ()) if (path / _CONFIG).is_file()]
    known = ["reference", *(f"reference:{kind}" for kind in NAMES), *(str(path) for path in near)]
    close = get_close_matches(name, known, n=2)
    if name in NAMES:
        close = [f"reference:{name}"]
    return f" (did you mean {' or '.join(close)}?)" if close else ""
