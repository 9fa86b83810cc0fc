"""What the programs behind scripts/bench do alike: one runs at a time in a run folder, its servers' data is deleted
however it ends, and what it found goes to a table and a file."""

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Callable

from servers import Failed


def say(text: str):
    print(text, file=sys.stderr, flush=True)


def add_common_options(parser):
    parser.add_argument("--programs", required=True, help="folder of distrikvd and distrikv-bench")
    parser.add_argument("--run-dir", required=True, help="where the servers keep their data")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: to see that it works")
    parser.add_argument("--json", help="also write everything to this file")


def parse_rounds(program: str, arguments):
    """The options of a bench that measures in turns over many keys."""
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    add_common_options(parser)
    parser.add_argument("--rounds", type=int, help="turns of each mode (default: 5; 1 with --quick)")
    parser.add_argument("--seconds", type=float, help="of each measurement (default: 10; 1 with --quick)")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds if options.rounds is not None else 1 if options.quick else 5
    options.seconds = options.seconds if options.seconds is not None else 1 if options.quick else 10
    options.keys = 20_000 if options.quick else 1_000_000
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds take numbers above 0")
    return options


def conduct(options, folders: tuple[str, ...], measure: Callable[[Path], dict], table: Callable[[dict], str]) -> int:
    """Measures in the run folder, of which the named folders are this program's, and prints the table. Returns the
    exit code."""
    stop_on_signals()
    run_dir = Path(options.run_dir).resolve()
    try:
        lock = claim(run_dir, folders)
    except (Failed, OSError) as problem:
        say(f"error: {problem}")
        return 1
    try:
        if options.json:
            open(options.json, "a").close()  # better now than after half an hour
        found = measure(run_dir)
        if options.json:
            Path(options.json).write_text(json.dumps(found, indent=2) + "\n")
        print(table(found))
        return 0
    except KeyboardInterrupt:
        say("\ninterrupted: servers ended, nothing is kept")
        return 130
    except (Failed, OSError) as problem:
        say(f"error: {problem}")
        return 1
    finally:
        for folder in folders:
            shutil.rmtree(run_dir / folder, ignore_errors=True)
        os.unlink(run_dir / "lock")
        lock.close()
        try:
            run_dir.rmdir()
        except OSError:
            pass  # there is something of somebody else in it


def claim(run_dir: Path, folders: tuple[str, ...]):
    """One benchmark at a time: two would spoil each other's figures. Clears away what a killed one left."""
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = open(run_dir / "lock", "w")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Failed(f"another benchmark runs in {run_dir}") from None
    for folder in folders:
        shutil.rmtree(run_dir / folder, ignore_errors=True)
    return lock


def stop_on_signals():
    """All three end this program by an exception, so with everything cleared away."""
    def interrupt(*_):
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: a background job has it ignored
        signal.signal(number, interrupt)
