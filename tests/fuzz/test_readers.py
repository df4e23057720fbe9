"""Damaged inputs: each is read, or refused in one line, within limits of time and memory.

`pytest tests/fuzz --fuzz 4000` makes that many inputs for each reader instead of 200. A failure
names the seeds; `mutate` makes the same input from a seed again.
"""

import multiprocessing
import resource
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz.readers import READERS, Reader
from mutations import mutate

from mottool.errors import MottoolError

SECONDS = 20  # for one input
MEMORY = 3 << 30  # bytes of address space in addition to those at the start


class TooSlowError(BaseException):
    """An input that takes longer than its limit."""


def _too_slow(number: int, frame: object) -> None:
    raise TooSlowError


def _faults(reader: Reader, file: Path, seeds: range, report: Callable[[object], None]) -> None:
    """Read damaged copies of a file, and report a line for every one that is a fault."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _too_slow)
    warnings.simplefilter("ignore")
    content = file.read_bytes()
    for seed in seeds:
        report(seed)
        file.write_bytes(mutate(content, seed))
        signal.alarm(SECONDS)
        try:
            reader.read(file)
        except MottoolError as error:
            if "\n" in str(error) or not error.fix:
                report(f"seed {seed}: a message of several lines: {error}")
        except OSError:  # such as a name that is too long, which commands report in one line
            pass
        except TooSlowError:
            report(f"seed {seed}: longer than {SECONDS} s")
        except BaseException:  # a fault of any kind
            last = traceback.format_exc().strip().splitlines()
            report(f"seed {seed}: {last[-1][:200]} ({last[-3].strip() if len(last) > 2 else ''})")
        finally:
            signal.alarm(0)
    report(None)


@pytest.mark.parametrize("name", READERS)
def test_damaged_inputs_are_read_or_refused(name, tmp_path, request):
    reader = READERS[name]
    file = reader.make(tmp_path)
    reader.read(file)
    count = max(1, round(request.config.getoption("fuzz") * reader.share))
    receive, send = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_faults, args=(reader, file, range(count), send.send))
    process.start()
    send.close()
    faults, last = [], None
    try:
        while (message := receive.recv()) is not None:
            if isinstance(message, str):
                faults.append(message)
            else:
                last = message
    except EOFError:
        faults.append(f"seed {last}: the interpreter crashed")
    process.join()
    assert not faults, f"{len(faults)} faults of {count}:\n" + "\n".join(faults[:20])
