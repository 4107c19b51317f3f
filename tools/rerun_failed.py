"""Runs the few failed tests of a whole run once more, alone, and says which of them were unsteady.

    python tools/rerun_failed.py CACHE...

Each CACHE is the cache folder of a finished pytest process, in which pytest keeps the names of failed tests. The status
is 0 if all of them passed alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MAX_RERUN = 3
"""With more failures something is broken, which a second run would only say later."""
LAST_FAILED = Path("v", "cache", "lastfailed")


def read_failed(caches: Sequence[Path]) -> list[str]:
    """Return the names of the tests that failed in the processes with these cache folders."""
    files = [cache / LAST_FAILED for cache in caches]
    return sorted({name for file in files if file.exists() for name in json.loads(file.read_text(encoding="utf-8"))})


def run_again(failed: Sequence[str]) -> list[str]:
    """Run these tests in one pytest process; return those that did not pass."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / LAST_FAILED
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(dict.fromkeys(failed, True)), encoding="utf-8")
        # pytest takes the names of those that pass out of the file; a test that it does not find stays in it.
        subprocess.run([sys.executable, "-m", "pytest", "-o", f"cache_dir={folder}", *failed], check=False)
        return read_failed([Path(folder)])


def tell(title: str, names: Sequence[str]) -> None:
    """Print the names below a title, if there are any."""
    if names:
        sys.stdout.write("\n  ".join([f"{title} ({len(names)}):", *names]) + "\n")
        sys.stdout.flush()


def main(words: Sequence[str]) -> int:
    """Return the exit status: 0 where every test that failed in the run passed alone."""
    failed = read_failed([Path(word) for word in words])
    if not 0 < len(failed) <= MAX_RERUN:
        tell(f"Failed; more than {MAX_RERUN} are not run again", failed)
        return 1
    tell("Failed in the run, and now run once more, alone", failed)
    again = run_again(failed)
    tell("Failed twice", again)
    tell("UNSTEADY: failed in the run and passed alone; mend them", [name for name in failed if name not in again])
    return 1 if again else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
