"""Damaged inputs: each is read, or refused in one line, within limits of time and memory.

`pytest tests/fuzz --fuzz 4000` makes that many inputs for each reader instead of 200, from seed 0
or `--fuzz-seed` on. A failure names the seeds; `mutate` makes the same input from a seed again.
"""

import pytest
from fuzz.limits import faults
from fuzz.readers import READERS
from mutations import mutate

from mottool.errors import MottoolError


@pytest.mark.parametrize("name", READERS)
def test_damaged_inputs_are_read_or_refused(name, tmp_path, request):
    reader = READERS[name]
    file = reader.make(tmp_path)
    reader.read(file)
    content = file.read_bytes()

    def read(seed):
        file.write_bytes(mutate(content, seed))
        try:
            reader.read(file)
        except MottoolError as error:
            if "\n" in str(error) or not error.fix:
                return f"a message of several lines: {error}"
        except OSError:  # such as a name that is too long, which commands report in one line
            pass
        return None

    first = request.config.getoption("fuzz_seed")
    count = max(1, round(request.config.getoption("fuzz") * reader.share))
    lines = faults(read, range(first, first + count))
    assert not lines, f"{len(lines)} faults of {count}:\n" + "\n".join(lines[:20])
