"""Train the embedded checkpoint `demo` on synthetic speech only and convert it to CTranslate2 int8.

Needs the extra `train`. A run resumes from the last checkpoint in --work-dir; delete that folder to start again. On
two CPU cores the default plan takes a little over an hour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from models.training.convert import convert
from models.training.training import Plan, train

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work-dir", type=Path, default=ROOT / "build" / "demo-model", help="folder for speech and checkpoints"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "models" / "demo", help="folder for the converted model")
    parser.add_argument(
        "--short-minutes", type=float, default=44, help="minutes of training on 6 s windows (default: 44)"
    )
    parser.add_argument(
        "--full-minutes", type=float, default=32, help="minutes of training with 30 s windows mixed in (default: 32)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads for the network (default: 2)")
    parser.add_argument("--convert-only", action="store_true", help="convert the last checkpoint without training")
    arguments = parser.parse_args()
    plan = Plan(arguments.work_dir, arguments.short_minutes, arguments.full_minutes, arguments.threads)
    checkpoint = plan.work_dir / "checkpoint.pt"
    if not arguments.convert_only:
        checkpoint = train(plan)
    convert(checkpoint, plan.work_dir / "tokenizer.json", arguments.output)
    print(f"Wrote {arguments.output}. Evaluate it with `make eval-demo`.")


if __name__ == "__main__":
    main()
