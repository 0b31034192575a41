from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import make_video

from stpn_data.video_structure import is_cut


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi"])
def test_whole_files_are_told_from_cut_ones(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a.{suffix}")
    assert is_cut(path) is False
    data = path.read_bytes()
    for length in (len(data) * 9 // 10, len(data) - 100):
        path.write_bytes(data[:length])
        assert is_cut(path) is True


def test_transport_streams_tell_only_a_broken_packet(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts")
    assert is_cut(path) is None
    path.write_bytes(path.read_bytes()[:-10])
    assert is_cut(path) is True


def test_streams_of_unknown_length_and_fragments_do_not_tell(tmp_path: Path) -> None:
    assert is_cut(make_video(tmp_path / "a.mkv", options={"live": "1"})) is None
    fragments = make_video(tmp_path / "a.mp4", options={"movflags": "frag_keyframe+empty_moov"})
    data = fragments.read_bytes()
    fragments.write_bytes(data[: data.index(b"mfra") - 4])
    assert is_cut(fragments) is None


START = (b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftyp", b"\0\0\0\1mdat", b"G")


@given(st.sampled_from(START), st.binary(max_size=80))
def test_any_bytes_give_an_answer(start: bytes, rest: bytes) -> None:
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / "stpn-structure-test"
    path.write_bytes(start + rest)
    try:
        assert is_cut(path) in (True, False, None)
    finally:
        path.unlink()
