"""To and from the Hugging Face Hub. The one place that reaches a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stpn_core.errors import InputError
from stpn_core.hub.address import HubAddress
from stpn_core.runs.usable_weights import MODEL_FILE

CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
RECIPE_FILE = "recipe.json"


def download(address: HubAddress, *, token: str | bool | None = None) -> Path:
    """The folder with configuration and weights of a repository, from the cache of huggingface_hub
    where it holds them. Both are of one commit. Nothing else is fetched, and nothing is read here.

    token: as in huggingface_hub: None uses the one that is logged in, False none.

    Raises InputError, with what to do, if there is no such repository or revision, if it is not
    ours, or if it cannot be reached and is not in the cache.
    """
    hub = _require_hub()
    try:
        config = Path(
            hub.hf_hub_download(
                address.repository, CONFIG_FILE, revision=address.revision, token=token
            )
        )
        commit = config.parent.name  # SNAPSHOTS/COMMIT/config.json
        weights = hub.hf_hub_download(address.repository, MODEL_FILE, revision=commit, token=token)
    except Exception as error:  # the hub client raises whatever its version raises
        raise InputError(f"{address}: {_download_advice(address, error)}") from error
    return Path(weights).parent


def upload(
    folder: Path,
    repository: str,
    *,
    private: bool = True,
    token: str | None = None,
    revision: str | None = None,
    message: str = "Upload of a model",
) -> str:
    """Put the files of `folder` into a model repository, as one commit; returns its page's address.

    The repository is made if it is not there, private unless told otherwise; of one that is there
    the visibility stays. Files there that are not in `folder` stay, too. revision: a branch that
    exists. Raises InputError, with what to do, if nobody is logged in, or the Hub refuses.
    """
    hub = _require_hub()
    try:
        api = hub.HfApi(token=token)
        made = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository, folder_path=folder, revision=revision, commit_message=message
        )
    except Exception as error:
        raise InputError(f"hf://{repository}: {_upload_advice(repository, error)}") from error
    return str(made)


def _require_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise InputError(
            "models on the Hub need the package huggingface_hub: "
            "python -m pip install 'stpn-core[hub]'"
        ) from error
    return huggingface_hub


def _download_advice(address: HubAddress, error: Exception) -> str:
    errors = _require_hub().errors
    said = " ".join(str(error).split())[:300]
    revision = f" --revision {address.revision}" if address.revision else ""
    by_hand = f"`hf download {address.repository}{revision} --local-dir FOLDER`"
    if isinstance(error, errors.GatedRepoError):
        return (
            "its owner asks for consent: give it on the page of the model, then log in with "
            "`hf auth login`"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the repository has no branch, tag or commit {address.revision!r}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            "no such repository, or a private one: check the name, and log in with `hf auth login` "
            "(or set HF_TOKEN) if it is private"
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        return (
            "not in the cache here, and the Hub cannot be reached (no network, or HF_HUB_OFFLINE is "
            f"set). On a machine with network run {by_hand}, copy FOLDER here, and give its path"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return (
            f"the repository has not both {CONFIG_FILE} and {MODEL_FILE}: not a model of this "
            f"library. ({said})"
        )
    return f"cannot be downloaded: {type(error).__name__}: {said}. Try again, or use {by_hand}"


def _upload_advice(repository: str, error: Exception) -> str:
    errors = _require_hub().errors
    said = " ".join(str(error).split())[:300]
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.LocalTokenNotFoundError) or status == 401:
        return "nobody is logged in: `hf auth login` with a token that may write, or HF_TOKEN"
    if status == 403:
        return f"this token may not write to {repository}: use one with write access ({said})"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"there is no such branch to upload to: {said}"
    return (
        f"cannot be uploaded: {type(error).__name__}: {said}. Nothing was half-written there: the "
        "files arrive as one commit. Try again, or save a folder and use `hf upload`"
    )
