"""Train the embedded checkpoint `demo` from nothing but synthetic speech, then convert it to CTranslate2 int8.

Needs the extra `train`. A run that was stopped goes on from its last checkpoint in --work-dir; delete that folder to
start afresh. On two CPU cores the default plan takes a bit more than an hour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from models.training.convert import convert
from models.training.training import Plan, train

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work-dir", type=Path, default=ROOT / "build" / "demo-model", help="speech and checkpoints")
    parser.add_argument("--output", type=Path, default=ROOT / "models" / "demo", help="the converted model")
    parser.add_argument("--short-minutes", type=float, default=44, help="training on 6 s contexts (default: 44)")
    parser.add_argument(
        "--full-minutes", type=float, default=32, help="training with 30 s windows mixed in (default: 32)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of the network (default: 2)")
    parser.add_argument("--convert-only", action="store_true", help="convert the last checkpoint, do not train")
    arguments = parser.parse_args()
    plan = Plan(arguments.work_dir, arguments.short_minutes, arguments.full_minutes, arguments.threads)
    checkpoint = plan.work_dir / "checkpoint.pt"
    if not arguments.convert_only:
        checkpoint = train(plan)
    convert(checkpoint, plan.work_dir / "tokenizer.json", arguments.output)
    print(f"Wrote {arguments.output}. Measure it with `make eval-demo`.")


if __name__ == "__main__":
    main()
