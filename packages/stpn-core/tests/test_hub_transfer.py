"""Against a hub on the loopback interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stpn_core.errors import InputError
from stpn_core.hub import HubAddress, download, find_model, hub_address, upload
from stpn_core.runs import weights_file
from stpn_core.testing.fake_hub import FakeHub, FakeRepository, fake_hub, point_at

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "README.md": b"# a", "x.py": b"!"}
WHERE = HubAddress("me/toy")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        point_at(hub.url, tmp_path / "cache", monkeypatch)
        repository = hub.repositories["me/toy"] = FakeRepository()
        repository.commit(FILES)
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "out" / name).write_bytes(b"mine")
    (tmp_path / "out" / "README.md").write_text("---\nlicense: mit\n---\n# a\n")
    return tmp_path / "out"


def test_only_what_is_needed_is_fetched_and_only_once(hub: FakeHub) -> None:
    got = download(WHERE)
    assert sorted(path.name for path in got.iterdir()) == ["config.json", "model.safetensors"]
    assert (got / "model.safetensors").read_bytes() == b"weights"
    hub.requests.clear()
    assert download(WHERE) == got
    assert not [request for request in hub.requests if request.startswith("GET")]


def test_both_files_are_of_one_commit_whatever_happens_in_between(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    fetch = huggingface_hub.hf_hub_download

    def slow(repository: str, name: str, **options: object) -> str:
        path = fetch(repository, name, **options)  # type: ignore[arg-type]
        hub.repositories["me/toy"].commit({"model.safetensors": b"newer"})
        return path

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", slow)
    assert (download(WHERE) / "model.safetensors").read_bytes() == b"weights"
    assert (download(WHERE) / "model.safetensors").read_bytes() == b"newer"  # control


def test_a_revision_is_a_branch_or_a_commit(hub: FakeHub) -> None:
    repository = hub.repositories["me/toy"]
    first = repository.branches["main"]
    repository.commit({"model.safetensors": b"second"})
    repository.branches["v1"] = first
    for revision, expected in (("v1", b"weights"), (first, b"weights"), (None, b"second")):
        found = download(HubAddress("me/toy", revision)) / "model.safetensors"
        assert found.read_bytes() == expected


def test_a_private_one_needs_the_token(hub: FakeHub) -> None:
    hub.repositories["me/toy"].private = True
    with pytest.raises(InputError, match=r"no such repository, or a private one.*hf auth login"):
        download(WHERE)
    assert download(WHERE, token=hub.token).is_dir()


def test_each_refusal_says_what_to_do(hub: FakeHub) -> None:
    hub.repositories["me/gated"] = FakeRepository(gated=True)
    other = hub.repositories["me/other"] = FakeRepository()
    other.commit({"config.json": b"{}", "pytorch_model.bin": b"x"})
    for address, said in (
        (HubAddress("me/none"), "no such repository"),
        (HubAddress("me/toy", "v9"), "no branch, tag or commit 'v9'"),
        (HubAddress("me/gated"), "asks for consent"),
        (HubAddress("me/other"), "not a model of this library"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            download(address)
        assert str(caught.value).startswith(f"{address}: ")


def test_offline_the_cache_serves_and_otherwise_it_says_how_to_carry_files(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    got = download(WHERE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.requests.clear()
    assert download(WHERE) == got
    with pytest.raises(InputError, match=r"`hf download me/new --revision v1 --local-dir FOLDER`"):
        download(HubAddress("me/new", "v1"))
    assert hub.requests == []


def test_upload_is_one_commit_to_a_new_private_repository(hub: FakeHub, folder: Path) -> None:
    assert upload(folder, "me/new", token=hub.token) == f"{hub.url}/me/new"
    made = hub.repositories["me/new"]
    assert made.private
    assert len(made.commits) == 2  # the one a repository begins with, and ours
    held = made.commits[made.branches["main"]]
    assert held["model.safetensors"] == b"mine"
    assert set(held) == {".gitattributes", "README.md", "config.json", "model.safetensors"}


def test_upload_to_one_that_is_there(hub: FakeHub, folder: Path) -> None:
    upload(folder, "me/toy", token=hub.token)
    repository = hub.repositories["me/toy"]
    assert not repository.private
    held = repository.commits[repository.branches["main"]]
    assert (held["model.safetensors"], held["x.py"]) == (b"mine", b"!")
    upload(folder, "me/public", token=hub.token, private=False)
    assert not hub.repositories["me/public"].private


def test_an_upload_that_is_refused_says_why(hub: FakeHub, folder: Path) -> None:
    before = dict(hub.repositories["me/toy"].commits)
    for token, revision, said in (
        (None, None, "nobody is logged in: `hf auth login`"),
        ("hf_other", None, "may not write to me/toy"),
        (hub.token, "v9", "no such branch"),
    ):
        with pytest.raises(InputError, match=said):
            upload(folder, "me/toy", token=token, revision=revision)
    assert hub.repositories["me/toy"].commits == before


def test_without_the_client_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for act in (lambda: download(WHERE), lambda: upload(tmp_path, "me/toy")):
        with pytest.raises(InputError, match=r"pip install 'stpn-core\[hub\]'"):
            act()


def test_addresses() -> None:
    assert hub_address("hf://me/toy") == WHERE
    assert hub_address(Path("hf://me/toy@v1.0")) == HubAddress("me/toy", "v1.0")
    assert str(HubAddress("me/toy", "v1.0")) == "hf://me/toy@v1.0"
    assert [hub_address(text) for text in ("me/toy", "runs/hf", "/hf:/me/toy")] == [None] * 3
    for bad in ("hf://me", "hf://me/toy/more", "hf://../toy", "hf://me/toy@", "hf://me/t oy"):
        with pytest.raises(InputError, match=r"hf://owner/name\[@revision\]"):
            hub_address(bad)


def test_what_is_here_goes_before_what_is_there(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("me/toy") == find_model("hf://me/toy") == download(WHERE)
    (tmp_path / "me" / "toy").mkdir(parents=True)
    hub.requests.clear()
    assert find_model("me/toy") == Path("me/toy")
    assert hub.requests == []
    with pytest.raises(InputError, match="has no revisions"):
        find_model("me/toy", revision="v1")
    with pytest.raises(InputError, match="nor the name of a repository"):
        find_model("some/where/else")
    with pytest.raises(InputError, match="no branch, tag or commit 'v9'"):
        find_model("hf://me/toy@main", revision="v9")


def test_weights_are_sought_on_the_hub_only_where_the_address_says_so(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that was mistyped must not become a stranger's model."""
    monkeypatch.chdir(tmp_path)
    assert weights_file("me/toy") == Path("me/toy")
    assert hub.requests == []
    for written in ("hf://me/toy", Path("hf://me/toy")):
        assert weights_file(written).read_bytes() == b"weights"
