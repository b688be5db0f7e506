"""``python -m studies.pretrained``: parts, train, judge; the plan is in PLAN.md.

Every command resumes where it was. ``seed`` does all of one arm and seed: parts, training, judging.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from studies.pretrained.arms import ARMS, PARTS, SEEDS, SHORT, TUNING, WANTED, Recipe

if TYPE_CHECKING:
    from studies.pretrained.judge import Judging


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m studies.pretrained", description=__doc__)
    parser.add_argument("command", choices=("parts", "train", "judge", "seed"))
    parser.add_argument("--parts", type=Path, default=Path("build/pretrained/parts"), help="where the parts lie")
    parser.add_argument("--work", type=Path, default=Path("build/pretrained/models"), help="where results go")
    parser.add_argument("--arm", action="append", choices=tuple(ARMS), help="default: all; repeatable")
    parser.add_argument("--seed", action="append", type=int, help=f"default: {SEEDS}; repeatable")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=18, help="canvases per forward when judging")
    parser.add_argument("--jobs", type=int, default=1, help="models judged at the same time")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw training pictures")
    parser.add_argument("--steps", type=int, help=f"default: {Recipe().steps}")
    parser.add_argument("--compiled", action="store_true", help="compile the layers that are trained")
    parser.add_argument("--part", action="append", choices=PARTS, help="what is judged; default: all; repeatable")
    parser.add_argument(
        "--rule", action="append", default=[], help="judged under; default: those of PLAN-2; repeatable"
    )
    parser.add_argument("--items", type=int, help="matches judged; default: all 200")
    parser.add_argument("--guarded", type=int, help="items about places judged; default: all 60")
    parser.add_argument(
        "--short", action="store_true", help=f"{SHORT} steps, few items, three rules: at most 90 minutes on two cores"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop training after so long; resumable")
    args = parser.parse_args()
    if args.short:
        _shorten(args)
    args.parts.mkdir(parents=True, exist_ok=True)
    arms, seeds = args.arm or list(WANTED), args.seed or list(SEEDS)
    args.part = args.part or list(PARTS)
    if args.command in ("parts", "seed", "train"):
        from studies.pretrained.parts import install

        install(args.parts)
    if args.command in ("train", "seed"):
        _train(args, arms, seeds)
    if args.command in ("judge", "seed"):
        _judge(args, [f"{arm}-{seed}" for arm in arms for seed in seeds])


def _shorten(args: argparse.Namespace) -> None:
    """What was not said becomes what fits into an hour and a half on two cores."""
    from studies.where.rules import BLEND

    args.steps = args.steps or SHORT
    args.items, args.guarded = args.items or 16, args.guarded or 20
    args.part, args.rule = args.part or ["test", "guards"], args.rule or ["native", "bapa", BLEND]


def _train(args: argparse.Namespace, arms: list[str], seeds: list[int]) -> None:
    """Models that start alike side by side; on a CPU one after the other, which is as fast there."""
    from studies.pretrained.learner import Bench
    from studies.pretrained.train import Trainer, names

    wanted = sorted(names(arms, seeds), key=_start)
    groups = [list(group) for _, group in groupby(wanted, _start)]
    if args.device == "cpu":
        groups = [[name] for name in wanted]
    bench = None
    learned = args.work / "learned"
    for group in groups:
        missing = [name for name in group if not (learned / f"{name[0]}-{name[1]}.json").is_file()]
        if not missing:
            continue
        for arm, seed in missing:
            start = ARMS[arm].start
            if start and not (learned / f"{start}-{seed}.safetensors").is_file():
                sys.exit(f"{arm}-{seed} goes on from {start}-{seed}, which is not trained: add --arm {start}")
        bench = bench or Bench(args.parts, args.device)
        label = f"{missing[0][0]}-{missing[0][1]}" + (f"-and-{len(missing) - 1}" if missing[1:] else "")
        tuned = ARMS[missing[0][0]].start is not None
        recipe = replace(TUNING if tuned else Recipe(), **({"steps": args.steps} if args.steps and not tuned else {}))
        trainer = Trainer(bench, missing, recipe, args.work / "training" / label, learned, args.compiled)
        trainer.run(args.seconds, args.workers)
        if not trainer.done() and args.seconds == float("inf"):
            sys.exit(f"training {label} is not done; run the same command again")
        trainer.finish(learned)


def _start(name: tuple[str, int]) -> tuple[bool, bool]:
    """What a model begins as: those that begin alike train side by side, those that go on from others last."""
    return ARMS[name[0]].start is not None, ARMS[name[0]].language == "random"


def _given(args: argparse.Namespace) -> list[str]:
    """How many items are judged, where it was said, as options."""
    said = {"--items": args.items, "--guarded": args.guarded}
    return [word for option, value in said.items() if value for word in (option, str(value))]


def _judging(args: argparse.Namespace) -> Judging:
    from studies.pretrained.judge import Judging

    sizes = {name: value for name, value in (("items", args.items), ("guarded", args.guarded)) if value}
    return Judging(args.part, args.rule, device=args.device, batch=args.batch_size, **sizes)


def _judge(args: argparse.Namespace, models: list[str]) -> None:
    """Each model in a process of its own, so that one failure does not take the others along."""
    if args.jobs == 1:
        from studies.pretrained.judge import judge

        for model in models:
            judge(args.parts, args.work, model, _judging(args))
            print(model, flush=True)
        return
    from studies.pretrained.judge import probes

    probes(args.parts, args.work)

    def one(model: str) -> tuple[str, int, str]:
        arm, seed = model.split("-")
        command = [sys.executable, "-m", "studies.pretrained", "judge", "--arm", arm, "--seed", seed]
        command += ["--parts", str(args.parts), "--work", str(args.work), "--device", args.device]
        command += ["--batch-size", str(args.batch_size), *(word for part in args.part for word in ("--part", part))]
        command += [*_given(args), *(word for rule in args.rule for word in ("--rule", rule))]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return model, done.returncode, done.stderr[-1500:]

    with ThreadPoolExecutor(args.jobs) as pool:
        failed = {}
        for model, code, error in pool.map(one, models):
            print(f"{model}: {'judged' if code == 0 else error}", flush=True)
            if code:
                failed[model] = error
    if failed:
        (args.work / "failed.json").write_text(json.dumps(failed, indent=1))
        sys.exit(f"failed: {', '.join(failed)}; run the same command again")


if __name__ == "__main__":
    main()
