"""Messages of errors."""

from mottool.errors import InputError


def test_messages_are_one_printable_line():
    error = InputError("a\nb\udce9.mp4 is \x1b[31mred", "rename it")
    assert str(error) == r"a\nb\udce9.mp4 is \x1b[31mred. Fix: rename it."
