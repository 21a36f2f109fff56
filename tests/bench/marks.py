"""What the benches with a table of marks have in common: its lines, how it is printed, and the main
program around the rows."""
import dataclasses
import json
import shutil
import sys

import brokers


@dataclasses.dataclass
class Line:
    """One line of the table."""
    title: str
    ours: str
    other: str
    value: float  # what the mark is about
    mark: str
    met: bool
    runs: dict
    note: str = ""


def table(lines):
    rows = [("work", "ours", "against", "figure", "mark", "met?"),
            ("---", "--:", "--:", "--:", "--:", "---")]
    for line in lines:
        rows.append((line.title, line.ours, line.other, f"{line.value:.3f}", line.mark,
                     "yes" if line.met else "no"))
    notes = [f"- {line.title}: {line.note}" for line in lines if line.note]
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + ([""] if notes else [])
                     + notes)


def add_options(parser, rows):
    """Options that every such bench has; `completed` checks and fills them."""
    parser.add_argument("rows", nargs="*", metavar="ROW", help="these alone: " + ", ".join(rows))
    parser.add_argument("--json", metavar="FILE", help="write all reports there")
    parser.add_argument("--strict", action="store_true", help="a mark that is not met is a failure")


def check_rows(parser, options, rows):
    unknown = [row for row in options.rows if row not in rows]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(rows)}")


def measure(bench, rows, conditions):
    print(conditions(bench) + "\n", flush=True)
    lines = []
    for name in bench.options.rows:
        lines += rows[name](bench)
    print(table(lines))
    if bench.contended:
        print("\nOther processes had the cores during some runs: repeat on a free machine.")
    if bench.options.json:
        with open(bench.options.json, "w", encoding="utf-8") as file:
            json.dump([dataclasses.asdict(line) for line in lines], file, indent=2)
    return 1 if bench.options.strict and not all(line.met for line in lines) else 0


def main(options, make_bench, rows, conditions):
    """Measures the rows that were asked for. A bench has `options`, a `directory` of its own, which
    is removed at the end, and `contended`. Gives the exit code."""
    brokers.stop_on_signals()
    bench = None
    try:
        brokers.raise_open_files()
        bench = make_bench(options)
        return measure(bench, rows, conditions)
    except (brokers.BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if bench is not None:
            shutil.rmtree(bench.directory, ignore_errors=True)
