"""The width of the terminal, if there is one."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

PRINT_WIDTH = "from mottool.cli.terminal import terminal_width; print(terminal_width())"


def test_the_width_is_that_of_the_terminal():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 93, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    subprocess.run([sys.executable, "-c", PRINT_WIDTH], stdout=theirs, env=environment, check=True)
    assert os.read(ours, 100).strip() == b"93"
    os.close(ours)
    os.close(theirs)


def test_a_pipe_has_no_width():
    done = subprocess.run(
        [sys.executable, "-c", PRINT_WIDTH], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "None"
