"""The command line: `terrlib plan` and `terrlib check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from terrlib.errors import DataError, SettingsError, TerrlibError
from terrlib.inputs.settings import Settings, change_settings, load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        The words after `terrlib`; those of the process if None.

    Returns
    -------
    int
        0 when done, 2 when terrlib refuses; the reason is then on standard error.

    Examples
    --------
    >>> main(["check", "no_such_file.yml"])
    2
    """
    asked = _parser().parse_args(argv)
    try:
        asked.do(asked)
    except TerrlibError as refusal:
        sys.stderr.write(f"\n{type(refusal).__name__}: {_visible(str(refusal))}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nStopped. What was finished is kept: the same command goes on from there.\n"
        )
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="terrlib", description="Plan sales territories you can defend."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, do, text in (
        ("plan", _plan, "make a whole plan: territories, reps, budget, goals, report"),
        ("check", _check, "check the data and the rules without planning"),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(do=do)
        command.add_argument(
            "source", type=Path, help="settings.yml, or a file of accounts (CSV, Excel, Parquet)"
        )
        command.add_argument("--territories", type=int, metavar="K", help="how many to draw")
        command.add_argument(
            "--balance",
            action="append",
            default=[],
            metavar="MEASURE:TOLERANCE",
            help="what to balance and how far it may be off, like revenue:0.10; may be repeated",
        )
        command.add_argument("--quarter", metavar="2026Q4", help="the quarter planned for")
        command.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the tables")
        command.add_argument("--locale", choices=("pl", "en"), help="language of the report")
    plan = commands.choices["plan"]
    plan.add_argument("--out", type=Path, default=Path("reports"), metavar="FOLDER")
    plan.add_argument("--last", type=Path, metavar="RUN", help="folder of an earlier run")
    return parser


def _question(asked: argparse.Namespace) -> tuple[Settings, Path]:
    """Turn the words of a command into settings and the folder of the tables."""
    source: Path = asked.source
    if not source.is_file():
        raise SettingsError(f"there is no file {source}")
    changes: dict[str, Any] = {
        "territories.count": asked.territories,
        "quarter": asked.quarter,
        "locale": asked.locale,
        "territories.balance": dict(_tolerance(text) for text in asked.balance) or None,
    }
    if source.suffix.lower() in {".yml", ".yaml"}:
        settings, folder = load_settings(source), asked.data or source.parent
    else:
        from terrlib.inputs.load import simplest_settings  # pandas is slow

        settings, folder = simplest_settings(source), asked.data or source.parent
    if not folder.is_dir():
        raise SettingsError(f"there is no data folder {folder}")
    return change_settings(settings, {k: v for k, v in changes.items() if v is not None}), folder


def _tolerance(text: str) -> tuple[str, float]:
    measure, _, tolerance = text.partition(":")
    try:
        return measure, float(tolerance)
    except ValueError:
        raise SettingsError(
            f"--balance {text} should be a measure and a tolerance, like revenue:0.10"
        ) from None


def _plan(asked: argparse.Namespace) -> None:
    settings, folder = _question(asked)
    from terrlib.pipeline import make_run  # slow to import

    if asked.last and not (asked.last / "run.json").is_file():
        raise SettingsError(f"{asked.last} is not a finished run: it holds no run.json")
    final = make_run(settings, folder, asked.out, asked.last, _print)
    _print(str((final / "index.html").resolve()))


def _check(asked: argparse.Namespace) -> None:
    settings, folder = _question(asked)
    from terrlib import (
        steps,  # slow to import
        tell,
    )
    from terrlib.inputs.load import load_market
    from terrlib.show.report import plain
    from terrlib.show.tables import text_table
    from terrlib.show.words import Words
    from terrlib.tables import TRUST, named_trust

    words = Words(settings.locale, settings.currency)
    try:
        market = load_market(settings, folder)
    except DataError as refusal:
        for line in tell.findings(words, refusal.findings) if refusal.findings is not None else ():
            _print(plain(line))
        raise
    _print(text_table(named_trust(market.trust, words), words, TRUST) + "\n")
    for line in tell.findings(words, market.quality, market.trust):
        _print(plain(line))
    steps.refuse_impossible(market, settings)
    _print(words.say("check.fine"))


def _print(line: str) -> None:
    sys.stdout.write(f"{_visible(line)}\n")


def _visible(text: str) -> str:
    """Text from data may not steer a terminal: no control characters but line ends."""
    return "".join(c for c in text if c in "\n\u00a0" or c.isprintable())
