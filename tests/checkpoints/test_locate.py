"""A name that leads nowhere is found out before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from bapa.checkpoints import load
from bapa.checkpoints.locate import Place, locate, present
from bapa.errors import ModelError


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests made; none gets through."""
    asked: list[str] = []

    def refuse(url: str, **_: object) -> None:
        asked.append(url)
        raise HTTPError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    return asked


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("refrence", r"refrence: no such folder \(did you mean reference"),
        ("top", r"top: no such folder \(did you mean reference:top\?\)"),
        ("./models/mine", r"\./models/mine: no such folder; accepted"),
        ("a/b/c", r"a/b/c: no such folder"),
    ],
)
def test_what_can_be_no_hub_id_is_not_asked_for(hub: list[str], name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(name)
    assert hub == []


def test_folders_of_like_names_are_offered(hub: list[str], tmp_path: Path) -> None:
    (tmp_path / "llava-7b").mkdir()
    (tmp_path / "llava-7b" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"did you mean .*llava-7b\?"):
        locate(str(tmp_path / "lava-7b"))
    (tmp_path / "lava-7b").mkdir()
    with pytest.raises(ModelError, match=r"no config\.json in it \(did you mean .*llava-7b\?"):
        locate(str(tmp_path / "lava-7b"))


def test_the_hub_is_asked_once(hub: list[str]) -> None:
    with pytest.raises(ModelError, match=r"owner/name: .*not in the cache, and the hub cannot be reached \(Name or"):
        load("owner/name")
    assert len(hub) == 1


def test_a_name_the_hub_does_not_have_or_cannot_have(monkeypatch: pytest.MonkeyPatch, hub: list[str]) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    class Missing(RepositoryNotFoundError):
        def __init__(self) -> None:
            Exception.__init__(self, "404")

    def missing(url: str, **_: object) -> None:
        raise Missing

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", missing)
    with pytest.raises(ModelError, match="no such model on the hub"):
        locate("owner/nmae")
    monkeypatch.undo()
    with pytest.raises(ModelError, match="no hub id"):
        locate("a b/c")


def test_without_network_a_copy_in_the_cache_will_do(monkeypatch: pytest.MonkeyPatch, hub: list[str]) -> None:
    assert hub == []
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: "/cache/config.json")
    assert locate("owner/name").cached

    def offline(url: str, **_: object) -> None:
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", offline)
    assert locate("owner/name").cached
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, **_: None)
    assert not locate("owner/name").cached


@pytest.mark.parametrize(
    ("now", "cached", "kept"), [("aaaa", False, True), ("bbbb", False, False), (None, False, False), (None, True, True)]
)
def test_a_copy_in_the_cache_counts_while_the_hub_has_no_other(
    now: str | None, cached: bool, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``now``: the commit that the hub names; None: it cannot be reached."""

    def asked(url: str, **_: object) -> SimpleNamespace:
        assert url.endswith("owner/name/resolve/v1/config.json")
        if now is None:
            raise HTTPError("Name or service not known")
        return SimpleNamespace(commit_hash=now)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", asked)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "aaaa"))
    found = present(Place("owner/name", cached=cached, revision="v1"))
    assert found == (tmp_path / "aaaa" if kept else None)


def test_what_is_not_in_the_cache_is_not_present(hub: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("not there")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lacks)
    assert present(Place("owner/name")) is None
    assert hub == []
