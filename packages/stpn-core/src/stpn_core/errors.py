"""Errors a person can act on.

Every such error carries an integer `exit_code`; the `stpn` command prints its message without a
traceback and exits with that code. The attribute is the whole protocol: other packages raise
classes of their own with the same attribute and import nothing from here.

    0 done · 2 bad input · 3 numerics · 4 memory · 5 run directory locked · 6 worker or rank died
    130 Ctrl-C · 143 SIGTERM
"""

from __future__ import annotations


class StpnError(Exception):
    """Base of the errors below; on its own it means bad input."""

    exit_code: int = 2


class InputError(StpnError):
    """A file, argument or value from outside cannot be used; says what, where and what to do."""

    exit_code = 2


class NumericsError(StpnError):
    """A loss, gradient or weight is NaN or infinite, or training diverged."""

    exit_code = 3


class MemoryExhausted(StpnError):
    """The device or the host has too little memory for the requested sizes."""

    exit_code = 4


class RunLocked(StpnError):
    """Another process holds the run directory."""

    exit_code = 5


class WorkerDied(StpnError):
    """A data worker or another rank died or stopped answering."""

    exit_code = 6
