"""The commands where vLLM is missing, and options that go with one back end only. Needs no vLLM."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import RevisionNotFoundError
from typer.testing import CliRunner

from bapa import reference
from bapa.checkpoints.locate import Place
from bapa.cli.app import app
from bapa.errors import ConfigError, ModelError
from bapa.integrations.vllm import engine, loading, server
from bapa.probe import Design, build


@pytest.fixture
def without_vllm(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "vllm" else find(name, *more))


@pytest.fixture(scope="module")
def measuring(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    build("digits", folder / "probe", Design(items=1))
    return ["measure", "reference", "--probe", str(folder / "probe"), "--scheme", "bapa", "--out", str(folder / "run")]


def failure(command):
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    return " ".join(result.output.split())


def test_vllm_is_missing(without_vllm, measuring):
    hint = "bapa: vLLM is not installed; pip install 'bapa[vllm]'"
    assert failure(["serve", "reference", "--port", "8000"]).startswith(hint)
    assert failure([*measuring, "--backend", "vllm"]).startswith(hint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "max_model_len=512"], "--engine max_model_len=512 is for --backend vllm"),
        (["--backend", "vllm", "--device", "cuda"], "--device cuda: vLLM runs on the device it was built for"),
        (["--backend", "vllm", "--engine", "512"], "--engine 512: write NAME=VALUE"),
    ],
)
def test_options_of_the_other_back_end(measuring, options, message):
    assert message in failure([*measuring, *options])


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The revisions of owner/name that were downloaded; there is none called gone."""
    asked, snapshot = [], Path(shutil.copytree(reference.path("bottom"), tmp_path / "snapshot"))

    class Gone(RevisionNotFoundError):
        def __init__(self):
            Exception.__init__(self, "404 Client Error.")

    def download(name, *, revision=None, **_):
        asked.append(revision)
        if revision == "gone":
            raise Gone
        return str(snapshot)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for module in (engine, loading):
        find = module.locate
        monkeypatch.setattr(
            module, "locate", lambda name, find=find: Place(name) if name == "owner/name" else find(name)
        )
    monkeypatch.setattr(engine, "require", lambda: None)
    return asked


@pytest.mark.parametrize("told", [["--revision", "v2"], ["--revision=v2"], ["--rev", "v2"]])
def test_the_server_gets_the_revision_that_is_asked_for(hub, told):
    line = server.command("owner/name", "bapa", [*told, "--port", "8000"])
    assert hub == ["v2"]
    assert line[-4:] == ["--served-model-name", "owner/name", "--port", "8000"]
    assert not [word for word in line if word.startswith("--rev") or word == "v2"]


def test_the_main_revision_where_none_is_asked_for(hub):
    server.command("owner/name", "bapa", ["--reasoning-parser", "none"])
    assert "revision" not in loading.load_engine("owner/name", revision=None).options
    assert hub == [None, None, None]


@pytest.mark.parametrize("told", [["--revision"], ["--revision="], ["--revision", "--port", "8000"]])
def test_a_revision_without_a_name(hub, told):
    with pytest.raises(ConfigError, match="--revision names none; type --revision main"):
        server.command("owner/name", "bapa", told)
    with pytest.raises(ConfigError, match="revision is empty"):
        loading.load_engine("owner/name", revision="")


def test_a_revision_that_is_not_there(hub):
    with pytest.raises(ModelError, match="it has no revision gone; a branch, a tag or a commit is accepted"):
        server.command("owner/name", "bapa", ["--revision", "gone"])


def test_a_folder_has_no_revision(hub, measuring, monkeypatch):
    monkeypatch.setattr(server.os, "execvpe", lambda *_: pytest.fail("this process became the server"))
    message = "and only models of the hub have revisions"
    assert message in failure(["serve", "reference", "--revision", "v2"])
    assert message in failure([*measuring, "--backend", "vllm", "--engine", "revision=v2"])


@pytest.mark.parametrize(("given", "revision"), [("v2", "v2"), (2024, "2024")])
def test_an_engine_runs_the_revision_that_is_asked_for(hub, monkeypatch, given, revision):
    model = loading.load_engine("owner/name", revision=given, dtype="float32")
    assert hub == [revision, revision], "the weights, and their fingerprint"
    assert model.numerics["revision"] == revision, "the record tells it"
    started = []

    def start(**options):
        started.append(options)
        raise RuntimeError("no GPU")

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=start))
    monkeypatch.setitem(sys.modules, "bapa.integrations.vllm.model", SimpleNamespace(check_attention=None))
    with pytest.raises(ModelError, match="no GPU"):
        engine.start(model.folder, "bapa", model.options)
    assert started[0]["dtype"] == "float32"
    assert "revision" not in started[0], "with a folder it has no effect"
