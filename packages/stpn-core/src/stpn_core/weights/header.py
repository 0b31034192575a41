"""The header that our own weights files carry, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Mapping

from stpn_core.errors import InputError

FORMAT = "stpn"
FORMAT_VERSION = 1


def check_header(metadata: Mapping[str, str], *, where: str, task: str | None) -> None:
    """Raise InputError if the file is ours but of a newer format, or for another task.

    metadata: of any weights file; one that was not written by `save_weights` passes.
    task: the task it must be for; None for any.
    """
    if metadata.get("format") != FORMAT:
        return
    version = metadata.get("format_version", "")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise InputError(
            f"{where}: STPN weights of format version {version or '(none)'}; this installation "
            f"reads up to {FORMAT_VERSION}: update stpn-core"
        )
    made_for = metadata.get("task")
    if task is not None and made_for is not None and made_for != task:
        raise InputError(f"{where}: weights for the task '{made_for}', not for '{task}'")
