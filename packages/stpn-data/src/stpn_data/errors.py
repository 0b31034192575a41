"""The errors a user can act on. `exit_code` is what the `stpn` command exits with."""

from __future__ import annotations


class DataError(ValueError):
    """A file, folder or annotation that cannot be used; the message names it and what to do."""

    exit_code = 2


class WorkerDied(RuntimeError):
    """A data-loading or decoding process ended or stopped answering."""

    exit_code = 6
