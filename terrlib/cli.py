"""The command line: `terrlib plan`, `terrlib check` and `terrlib rollup`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from terrlib.errors import DataError, SettingsError, TerrlibError
from terrlib.inputs.settings import Settings, change_settings, language, load_settings
from terrlib.show.words import Words, plain


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
        words = _words(asked)
        said = "\n".join([words.tell(refusal.said), *getattr(refusal, "__notes__", ())])
        sys.stderr.write(f"\n{words.label(type(refusal).__name__)}: {_visible(said)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{_words(asked).say('run.stopped')}\n")
        return 130
    return 0


def _words(asked: argparse.Namespace) -> Words:
    """Language and currency of a command, even where its settings cannot be used."""
    locale, currency = language(asked.source)
    return Words(getattr(asked, "locale", None) or locale, currency)


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
    _add_rollup(commands)
    plan = commands.choices["plan"]
    plan.add_argument("--out", type=Path, default=Path("reports"), metavar="FOLDER")
    plan.add_argument("--last", type=Path, metavar="RUN", help="folder of an earlier run")
    return parser


def _add_rollup(commands: Any) -> None:
    text = "roll millions of accounts and sales up to units that can be planned"
    rollup = commands.add_parser("rollup", help=text, description=text.capitalize() + ".")
    rollup.set_defaults(do=_rollup)
    rollup.add_argument("source", type=Path, help="settings.yml that names accounts and sales")
    rollup.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the tables")
    rollup.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    rollup.add_argument(
        "--resolution",
        type=float,
        default=10.0,
        metavar="KM",
        help="side of a cell where accounts carry no area_id",
    )


def _no_file(source: Path) -> SettingsError:
    """Say that there is no such file, and which one of its folder may be meant."""
    there = sorted(p.name for p in source.parent.iterdir()) if source.parent.is_dir() else []
    near = difflib.get_close_matches(source.name, there, n=1)
    if near:
        return SettingsError("refusal.no_file_but", file=str(source), name=near[0])
    return SettingsError("refusal.no_file", file=str(source))


def _lone(asked: argparse.Namespace) -> Any:
    """Read a lone file as a table of text; None if the source is a settings file."""
    source: Path = asked.source
    if not source.is_file():
        raise _no_file(source)
    if source.suffix.lower() in {".yml", ".yaml"}:
        return None
    from terrlib.inputs.load import read_lone  # pandas is slow

    return read_lone(source)


def _question(asked: argparse.Namespace, rows: Any) -> tuple[Settings, Path]:
    """Turn the words of a command into settings and the folder of the tables."""
    source: Path = asked.source
    changes: dict[str, Any] = {
        "territories.count": asked.territories,
        "quarter": asked.quarter,
        "locale": asked.locale,
        "territories.balance": dict(_tolerance(text) for text in asked.balance) or None,
    }
    if rows is None:
        settings, folder = load_settings(source), asked.data or source.parent
    else:
        from terrlib.inputs.load import simplest_settings  # pandas is slow

        settings, folder = simplest_settings(source, rows), asked.data or source.parent
    if not folder.is_dir():
        raise SettingsError("refusal.no_folder", folder=str(folder))
    return change_settings(settings, {k: v for k, v in changes.items() if v is not None}), folder


def _tolerance(text: str) -> tuple[str, float]:
    measure, _, tolerance = text.partition(":")
    try:
        return measure, float(tolerance)
    except ValueError:
        raise SettingsError("refusal.bad_balance", text=text) from None


def _plan(asked: argparse.Namespace) -> None:
    rows = _lone(asked)
    settings, folder = _question(asked, rows)
    from terrlib.inputs import mapping
    from terrlib.pipeline import make_run  # slow to import

    if rows is not None:
        _print(mapping.say_taken(mapping.propose(rows), asked.source.name, _words(asked)))
    if asked.last and not (asked.last / "run.json").is_file():
        raise SettingsError("refusal.not_finished", run=str(asked.last))
    final = make_run(settings, folder, asked.out, asked.last, _print)
    _print(str((final / "index.html").resolve()))


def _check(asked: argparse.Namespace) -> None:
    rows = _lone(asked)
    if rows is not None and _propose(rows, asked.source.name, _words(asked)) != "accounts":
        return
    settings, folder = _question(asked, rows)
    from terrlib import (
        steps,  # slow to import
        tell,
    )
    from terrlib.inputs.load import load_market
    from terrlib.show.tables import text_table
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
    if rows is not None and settings.territories.count is None:
        _print(plain(words.say("check.next", file=str(asked.source))))
        return
    steps.refuse_impossible(market, settings)
    _print(words.say("check.fine"))


def _propose(rows: Any, file: str, words: Words) -> str:
    """Print what the columns of a lone file seem to be; return the table it seems to be."""
    from terrlib.inputs import mapping

    table, sure = mapping.guess_table(rows)
    _print(mapping.as_yaml(mapping.propose(rows, table), file, table, rows, words))
    _print(f"\n{mapping.say_guess(table, sure, file, words)}\n")
    return table


def _rollup(asked: argparse.Namespace) -> None:
    if not asked.source.is_file():
        raise _no_file(asked.source)
    folder = asked.data or asked.source.parent
    if not folder.is_dir():
        raise SettingsError("refusal.no_folder", folder=str(folder))
    from terrlib.inputs.rollup_files import roll_up_files  # slow to import

    facts = roll_up_files(load_settings(asked.source), folder, asked.out, asked.resolution)
    words = _words(asked)
    for table, rows in facts["rows"].items():
        told = {"read": rows["read"], "used": rows["used"], "aside": rows["set_aside"]}
        money = Decimal(rows["money_set_aside"])
        _print(plain(words.say("rollup.rows", table=table, **told, money=money)))
    took = {"units": facts["units"], "seconds": facts["seconds"]}
    if facts["peak_mb"] is None:
        _print(words.say("rollup.units", **took))
    else:
        _print(words.say("rollup.units_and_memory", **took, mb=facts["peak_mb"]))
    _print(str((asked.out / "accounts.csv").resolve()))


def _print(line: str) -> None:
    sys.stdout.write(f"{_visible(line)}\n")


def _visible(text: str) -> str:
    """Text from data may not steer a terminal: no control characters but line ends."""
    return "".join(c for c in text if c in "\n\u00a0" or c.isprintable())
