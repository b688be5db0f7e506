"""The probe through lmms-eval says what `bapa measure` says; any batch size says the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("lmms_eval", reason="lmms-eval is not installed; make test-lmms sets it up")

from lmms_eval.api.instance import Instance
from lmms_eval.models import get_model
from safetensors.torch import load_file, save_file

from bapa.checkpoints import load, weights
from bapa.checkpoints.adapter import Base, new_adapter, save_adapter
from bapa.checkpoints.locate import folder_of, locate
from bapa.cli.app import app
from bapa.errors import ConfigError, RunError
from bapa.integrations.lmms_eval import bench as benches
from bapa.integrations.lmms_eval.bench import SETS, bench
from bapa.integrations.lmms_eval.compare import compare
from bapa.integrations.lmms_eval.task import NAME, visual, write_task
from bapa.measure import measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings

SCHEMES = ["native", "bapa"]
SETTINGS = Settings(resamples=50)


@pytest.fixture(scope="module")
def probe(tmp_path_factory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("lmms") / "probe", Design(items=5))


@pytest.fixture(scope="module")
def out(probe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lmms") / "bench"
    bench("reference", [f"probe:{probe.path}"], SCHEMES, folder, settings=SETTINGS, batch_size=8)
    return folder


def documents(out: Path, scheme: str) -> list[dict]:
    return json.loads((out / scheme / f"{NAME}.json").read_text())["documents"]


def loss(document: dict) -> list[float]:
    return [pair[0] for pair in document["filtered_resps"]]


def test_the_same_answers_as_measure_to_the_item(probe, out, tmp_path) -> None:
    run = measure(load("reference"), probe, SCHEMES, tmp_path / "run", statistics=SETTINGS)
    answers = run.answers()
    for scheme in SCHEMES:
        mine = answers[answers["scheme"] == scheme].reset_index(drop=True)
        theirs = documents(out, scheme)
        assert len(mine) == len(theirs) > 5 * 9 * 2
        assert mine["correct"].astype(float).tolist() == [document["score"] for document in theirs]
        margins = [no - yes for yes, no in map(loss, theirs)]
        np.testing.assert_allclose(mine["margin"], margins, atol=1e-3)
        figures = json.loads((out / scheme / f"{NAME}.json").read_text())["figures"]
        for cell in run.bias["schemes"][scheme]["cells"]:
            assert figures[f"hit_row{cell['row']}_col{cell['col']}"] == pytest.approx(cell["hit"]["value"])
        overall = run.bias["schemes"][scheme]["overall"]
        for name in ("hit", "false_alarm"):
            assert figures[name] == pytest.approx(overall[name]["value"]), name
        hits = [cell["hit"]["value"] for cell in run.bias["schemes"][scheme]["cells"]]
        assert figures["range"] == pytest.approx(max(hits) - min(hits))
    assert documents(out, "native") != documents(out, "bapa")


def test_batches_of_eight_and_of_one(probe, out, tmp_path) -> None:
    bench("reference", [f"probe:{probe.path}"], ["bapa"], tmp_path, settings=SETTINGS, batch_size=1)
    one, eight = documents(tmp_path, "bapa"), documents(out, "bapa")
    assert [document["score"] for document in one] == [document["score"] for document in eight]
    np.testing.assert_allclose([*map(loss, one)], [*map(loss, eight)], atol=1e-4)


def instances(kind: str, arguments: list[tuple]) -> list[Instance]:
    about = {"task": "t", "doc_id": 0, "repeats": 1}
    return [Instance(kind, argument, index, metadata=about) for index, argument in enumerate(arguments)]


@pytest.fixture(scope="module")
def models(probe):
    """By batch size the model, with one document for each of three canvases, the last without a picture."""
    docs = [{"probe": str(probe.path), "index": 0, "cell": cell} for cell in (0, 8)] + [{}]
    found = {}
    for size in (1, 3):
        found[size] = get_model("bapa").create_from_arg_string(
            'pretrained=reference,scheme="bapa"', {"batch_size": size}
        )
        found[size].task_dict = {"t": {"test": docs}}
    return found


def shown(doc: dict) -> list:
    return visual(doc) if doc else []


def test_texts_do_not_depend_on_the_batch_and_end_where_the_task_says(models, probe) -> None:
    texts = ["Is there a red seven in the image? Answer yes or no.", "a red seven", "yes or no."]
    options = {"until": ["\n\n"], "max_new_tokens": 4}
    asked = [(text, options, shown, number, "t", "test") for number in range(3) for text in texts]
    one, three = (models[size].generate_until(instances("generate_until", asked)) for size in (1, 3))
    assert one == three
    assert len(set(one)) > 1
    word = one[0].split()[0]
    cut = [(texts[0], {"until": [word], "max_new_tokens": 4}, shown, 0, "t", "test")]
    assert models[1].generate_until(instances("generate_until", cut)) == [""]


def test_likelihoods_of_words_and_of_longer_answers(models) -> None:
    text = "Is there a red seven in the image? Answer yes or no."
    asked = [(text, words, shown, number, "t", "test") for number in range(3) for words in ("yes", "no", "yes no yes")]
    one, three = (
        [result.text for result in models[size].loglikelihood(instances("loglikelihood", asked))] for size in (1, 3)
    )
    np.testing.assert_allclose([pair[0] for pair in one], [pair[0] for pair in three], atol=1e-4)
    assert [pair[1] for pair in one] == [pair[1] for pair in three]
    for number in range(3):
        (yes, first), (no, second), (longer, _) = one[3 * number : 3 * number + 3]
        assert first != second
        assert first == (yes < no)
        assert longer > yes
    asking = models[1].asking
    prompt = models[1]._prompt(instances("loglikelihood", asked)[2])
    ids = asking.processor.tokenizer("yes no yes", add_special_tokens=False)["input_ids"]
    inputs = asking.inputs([prompt])
    total = 0.0
    for token in ids:
        with torch.no_grad():
            total -= float(asking.model(**inputs).logits[0, -1].log_softmax(-1)[token])
        added = torch.tensor([[token]])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], added], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    assert one[2][0] == pytest.approx(total, abs=1e-3)


def test_a_finished_task_is_not_asked_again(probe, out, monkeypatch) -> None:
    monkeypatch.setattr("bapa.integrations.lmms_eval.bench._model", lambda *_: pytest.fail("asked again"))
    again = bench("reference", [f"probe:{probe.path}"], SCHEMES, out, settings=SETTINGS, batch_size=8)
    (hit,) = (row for row in again if row.metric == "hit")
    assert hit.documents == 45
    found = hit.differences["bapa"]
    assert found["value"] == pytest.approx(hit.figures["bapa"] - hit.figures["native"])
    assert found["low"] <= found["value"] <= found["high"]
    assert found["low"] > 0, "the reference model gains under BaPA"
    assert hit.p == {"bapa": None}, "questions of one item hang together"
    with pytest.raises(RunError, match="made with"):
        bench("reference", [f"probe:{probe.path}"], SCHEMES, out, settings=SETTINGS, batch_size=4)


def test_names_that_are_repeated_count_once(probe, out, monkeypatch) -> None:
    monkeypatch.setattr(benches, "_model", lambda *_: pytest.fail("asked again"))
    asked = [f"probe:{probe.path}"] * 2
    rows = bench("reference", asked, [*SCHEMES, "bapa"], out, settings=SETTINGS, batch_size=8)
    assert len({row.metric for row in rows}) == len(rows) > 1
    assert list(rows[0].figures) == SCHEMES


def test_a_second_probe_is_refused(probe, tmp_path) -> None:
    other = build("digits", tmp_path / "other", Design(items=2))
    with pytest.raises(ConfigError, match=r"probe:.*, probe:.*other: one probe is accepted in --tasks"):
        bench("reference", [f"probe:{probe.path}", f"probe:{other.path}"], ["bapa"], tmp_path, settings=SETTINGS)


@pytest.fixture
def quick(monkeypatch) -> list[str]:
    """The rules that a model was loaded under; none is, and what it would have answered is made up."""
    loaded: list[str] = []
    run = {"figures": {"hit": 0.5}, "documents": [{"doc_id": n, "cluster": n, "hit": n % 2} for n in range(4)]}
    monkeypatch.setattr(benches, "_model", lambda model, label, options: loaded.append(label) or label)
    monkeypatch.setattr(benches, "_run", lambda *_: run)
    return loaded


def retune(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


def test_weights_that_were_tuned_again_are_another_model(probe, tmp_path, quick, monkeypatch) -> None:
    model = Path(shutil.copytree(folder_of(locate("reference:bottom")), tmp_path / "model"))
    tasks, out = [f"probe:{probe.path}"], tmp_path / "out"
    bench(str(model), tasks, ["native"], out, settings=SETTINGS)
    for file in (out / "native" / f"{NAME}.json", out / "bench.json"):
        assert json.loads(file.read_text())["asked"]["weights"] == weights.fingerprint(model)
    bench(str(model), tasks, ["native"], out, settings=SETTINGS)
    assert quick == ["native"]
    make = benches._model
    monkeypatch.setattr(benches, "_model", lambda *given: retune(model) or make(*given))
    with pytest.raises(RunError, match="other weights than when this work began"):
        bench(str(model), tasks, SCHEMES, out, settings=SETTINGS)
    with pytest.raises(RunError, match="made with"):
        bench(str(model), tasks, ["native"], out, settings=SETTINGS)


def test_a_folder_of_an_earlier_release_goes_on(probe, tmp_path, quick) -> None:
    tasks = [f"probe:{probe.path}"]
    bench("reference", tasks, ["bapa:distance=62"], tmp_path, settings=SETTINGS)
    file = tmp_path / "bapa_distance=62" / f"{NAME}.json"
    found = json.loads(file.read_text())
    del found["asked"]["weights"]
    file.write_text(json.dumps(found))
    bench("reference", tasks, ["bapa:distance=62"], tmp_path, settings=SETTINGS)
    assert quick == ["bapa:distance=62"]


def test_an_adapter_goes_by_its_weights_and_those_of_its_base(probe, tmp_path, quick) -> None:
    from peft import LoraConfig

    base = Path(shutil.copytree(folder_of(locate("reference:bottom")), tmp_path / "base"))
    loaded = load(str(base))
    adapter = new_adapter(loaded.model, LoraConfig(r=2, target_modules=["q_proj"]))
    made_on = Base(str(base), weights.of_checkpoint(loaded.fingerprint))
    save_adapter(adapter, tmp_path / "adapter", base=made_on)
    named = load(str(tmp_path / "adapter")).fingerprint
    tasks = [f"probe:{probe.path}"]
    bench(str(tmp_path / "adapter"), tasks, ["native"], tmp_path / "out", settings=SETTINGS)
    told = json.loads((tmp_path / "out" / "bench.json").read_text())["asked"]["weights"]
    assert told == weights.of_checkpoint(named)
    retune(base)
    with pytest.raises(RunError, match="made with"):
        bench(str(tmp_path / "adapter"), tasks, ["native"], tmp_path / "out", settings=SETTINGS)


def test_a_fitted_rule_has_a_folder_of_its_own(probe, tmp_path, quick) -> None:
    fitted = [f"bapa:shares=0:{digit * 3000}" for digit in "12"]
    for _ in range(2):
        rows = bench("reference", [f"probe:{probe.path}"], fitted, tmp_path, settings=SETTINGS)
        assert list(rows[0].figures) == quick == fitted
    made = sorted(path.parent.name for path in tmp_path.glob(f"*/{NAME}.json"))
    assert [name[:17] for name in made] == ["bapa_shares=0_111", "bapa_shares=0_222"]
    assert benches._folder("bapa:distance=62") == "bapa_distance=62"
    longest = "bapa:" + "x" * 250
    assert benches._folder(longest) == longest.replace(":", "_")


def test_bounds_and_p_of_documents_on_their_own() -> None:
    def run(scores: list[float]) -> dict:
        documents = [{"doc_id": n, "cluster": n, "acc": {"score": score}} for n, score in enumerate(scores)]
        return {"figures": {"acc": float(np.mean(scores)), "file": None}, "documents": documents}

    def mean(noted: list[dict]) -> float:
        return float(np.mean([each["score"] for each in noted]))

    found = {
        "native": run([0] * 30 + [1] * 30),
        "bapa": run([1] * 20 + [0] * 10 + [1] * 30),
        "same": run([0] * 30 + [1] * 30),
    }
    (row,) = compare("t", found, {"acc": mean}, Settings(resamples=200))
    assert row.differences["bapa"]["low"] > 0.1
    assert row.differences["same"] == {"value": 0, "low": 0, "high": 0}
    assert row.p["bapa"] < 1e-4 < row.p["same"] == 1

    def judge(noted: list[dict], args: object) -> float:
        raise AssertionError("a judge is asked once, by lmms-eval")

    (row,) = compare("t", found, {"acc": judge}, SETTINGS)
    assert row.differences["bapa"] == {"value": pytest.approx(1 / 3), "low": None, "high": None}


def test_every_task_of_the_sets_exists_and_unknown_ones_are_named(tmp_path) -> None:
    from lmms_eval.tasks import TaskManager

    tasks = TaskManager(model_name="bapa").all_subtasks
    assert {name for names in SETS.values() for name in names} <= set(tasks)
    with pytest.raises(ConfigError, match="did you mean 'pope'"):
        bench("reference", ["popee"], SCHEMES, tmp_path, settings=SETTINGS)
    failed = CliRunner().invoke(
        app, ["bench", "reference", "--tasks", "nix", "--scheme", "bapa", "--out", str(tmp_path)]
    )
    assert failed.exit_code == 2
    assert "lmms-eval has no task 'nix'" in failed.stderr


def test_a_probe_that_cannot_be_a_task(tmp_path) -> None:
    other = build("digits", tmp_path / "probe", Design(items=2, order="question-first"))
    with pytest.raises(ConfigError, match="image first"):
        write_task(other, tmp_path / "tasks")


def test_the_command_of_lmms_eval(probe, out, tmp_path) -> None:
    write_task(probe, tmp_path / "tasks")
    command = [Path(sys.executable).parent / "lmms-eval", "--model", "bapa", "--batch_size", "8", "--tasks", NAME]
    command += ["--model_args", "pretrained=reference,scheme=bapa", "--include_path", tmp_path / "tasks"]
    command += ["--output_path", tmp_path / "out", "--log_samples", "--use_cache", tmp_path / "cache"]
    for again in (False, True):  # the second time with lmms-eval's cache, which is not to change anything
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False
        )
        written = sorted((tmp_path / "out").rglob("*_results.json"))
        assert len(written) == 1 + again, done.stdout[-2000:] + done.stderr[-2000:]  # it ends with 0 after errors too
        newest = written[-1]
        results = json.loads(newest.read_text())["results"][NAME]
        figures = json.loads((out / "bapa" / f"{NAME}.json").read_text())["figures"]
        assert {name: results[f"{name},none"] for name in figures} == pytest.approx(figures), again
