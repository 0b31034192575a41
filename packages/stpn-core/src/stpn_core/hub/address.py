"""Names of models: a path here, or a repository on the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stpn_core.errors import InputError

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REPOSITORY = rf"{_PART}/{_PART}"
# a Path, which a command line makes of it, has one slash left
_ADDRESS = re.compile(rf"hf:/{{1,2}}({_REPOSITORY})(?:@([A-Za-z0-9._/-]+))?")


@dataclass(frozen=True)
class HubAddress:
    """A repository such as "owner/name", and a branch, tag or commit of it (None: the newest)."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_address(text: str | Path) -> HubAddress | None:
    """What `hf://owner/name` or `hf://owner/name@revision` names; None for every other text.

    Raises InputError if it starts with hf: and is not such a name.
    """
    written = text.as_posix() if isinstance(text, Path) else text
    if not written.startswith("hf:/"):
        return None
    found = _ADDRESS.fullmatch(written)
    if found is None:
        raise InputError(f"{text}: a model on the Hub is written hf://owner/name[@revision]")
    return HubAddress(found[1], found[2])


def repository(text: str) -> str:
    """`text` itself if it is `owner/name`. Raises InputError if it is not."""
    if not re.fullmatch(_REPOSITORY, text):
        raise InputError(f"{text!r} is not the name of a repository, which is owner/name")
    return text


def find_model(
    source: str | Path, *, revision: str | None = None, token: str | bool | None = None
) -> Path:
    """A path for `source`: itself if it is there, else the downloaded folder of a repository, named
    by `hf://owner/name[@revision]` or `owner/name`.

    revision: branch, tag or commit; names a repository even more exactly. token: as in
    huggingface_hub. Raises InputError if it is neither, or as `download` does.
    """
    if Path(source).exists():
        if revision is not None:
            raise InputError(
                f"{source} is here and has no revisions: leave revision out, or write "
                "hf://owner/name for the one on the Hub"
            )
        return Path(source)
    from stpn_core.hub.transfer import download

    address = hub_address(source)
    if address is None:
        if not re.fullmatch(_REPOSITORY, str(source)):
            raise InputError(f"{source}: no such file or folder, nor the name of a repository")
        address = HubAddress(str(source))
    if revision is not None:
        address = HubAddress(address.repository, revision)
    return download(address, token=token)
