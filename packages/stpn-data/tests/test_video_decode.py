from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import level, make_video, rotate_mp4

from stpn_data.errors import DataError
from stpn_data.video_decode import FileDecoder


def levels(decoder: FileDecoder) -> list[int]:
    return [round(float(frame.pixels.mean())) for frame in decoder]


def near(found: list[int], wanted: list[int], off: int = 6) -> bool:
    return len(found) == len(wanted) and all(
        abs(a - b) <= off for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "ts"])
def test_every_frame_comes_once_and_in_order(suffix: str, tmp_path: Path) -> None:
    decoder = FileDecoder(str(make_video(tmp_path / f"a.{suffix}")))
    frames = list(decoder)
    assert near([round(float(f.pixels.mean())) for f in frames], [level(i) for i in range(12)])
    times = np.array([frame.time for frame in frames])
    assert np.allclose(times - times[0], np.arange(12) / 10, atol=0.01)
    assert (decoder.fps, decoder.length_hint) == (10, 12)
    assert (decoder.status, decoder.problems) == ("unknown" if suffix == "ts" else "complete", [])
    assert frames[0].pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("frames", [0, 1])
def test_tiny_videos(frames: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", frames)
    if frames == 0:
        path = tmp_path / "cut.mkv"
        data = make_video(tmp_path / "b.mkv").read_bytes()
        path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 12])  # up to the first cluster
    decoder = FileDecoder(str(path))
    assert len(list(decoder)) == frames
    assert decoder.status == ("complete" if frames else "truncated")


def test_a_variable_rate_keeps_its_time_stamps(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 10, 11, 30]
    path = make_video(tmp_path / "a.mkv", 6, ticks=ticks)
    assert [round(frame.time, 2) for frame in FileDecoder(str(path))] == [t / 10 for t in ticks]


# a b c d of the display matrix, then what lies top left, top right, bottom left, bottom right of a
# frame whose top left quarter is white (W), bottom left black (B) and right half grey (g)
TURNS = [
    ((1, 0, 0, 1), "WgBg"),
    ((0, 1, -1, 0), "BWgg"),  # a quarter turn clockwise: a phone held upright
    ((-1, 0, 0, -1), "gBgW"),
    ((0, -1, 1, 0), "ggWB"),
    ((-1, 0, 0, 1), "gWgB"),  # mirrored
    ((1, 0, 0, -1), "BgWg"),
    ((0, 1, 1, 0), "WBgg"),
    ((0, -1, -1, 0), "ggBW"),
]


@pytest.mark.parametrize(("matrix", "wanted"), TURNS)
def test_frames_are_turned_as_a_player_does(
    matrix: tuple[int, int, int, int], wanted: str, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", 2, corner=True)
    rotate_mp4(path, *matrix)
    pixels = next(iter(FileDecoder(str(path)))).pixels
    assert pixels.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))
    h, w = pixels.shape[0] // 4, pixels.shape[1] // 4
    names = {0: "B", level(0): "g", 255: "W"}
    corners = [pixels[y, x, 0] for y in (h, 3 * h) for x in (w, 3 * w)]
    assert "".join(names[min(names, key=lambda v: abs(v - int(c)))] for c in corners) == wanted


def test_cut_files_say_so_and_keep_what_there_is(tmp_path: Path) -> None:
    for suffix, share in (("mkv", 5), ("mkv", 9), ("ts", 5), ("ts", 9), ("avi", 9)):
        path = make_video(tmp_path / f"a.{suffix}", 30)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * share // 10 // 188 * 188 + 7])
        decoder = FileDecoder(str(path))
        found = levels(decoder)
        assert decoder.status == "truncated", (suffix, share)
        whole = found[:-1]  # some versions of FFmpeg give a damaged last frame, others none
        assert near(whole, [level(i) for i in range(len(whole))])
        assert share < 9 or len(found) > 20


def test_a_cut_mp4_with_its_table_in_front(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 30, options={"movflags": "faststart"})
    assert FileDecoder(str(path)).length_hint == 30
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    decoder = FileDecoder(str(path))
    found = levels(decoder)
    assert 5 < len(found) < 30
    assert near(found[:-1], [level(i) for i in range(len(found) - 1)])
    assert decoder.status == "truncated"
    assert "the file ends before its own lengths say" in decoder.problems
    path.write_bytes(make_video(tmp_path / "b.mp4", 30).read_bytes()[:-900])  # table cut off
    with pytest.raises(DataError, match=r"a\.mp4: holds no video, only data; the file is cut off"):
        FileDecoder(str(path))


def test_a_damaged_middle_loses_frames_but_not_the_rest(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 40, codec="libx264")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)
    decoder = FileDecoder(str(path))
    found = levels(decoder)
    assert 20 < len(found) <= 40
    assert abs(found[-1] - level(39)) <= 6
    assert decoder.status == "truncated"
    assert decoder.problems


def test_declared_counts_are_not_believed(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.avi")
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 32  # dwLength of the stream
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    decoder = FileDecoder(str(path))
    assert decoder.length_hint is None  # more frames than bytes
    assert near(levels(decoder), [level(i) for i in range(12)])


def test_size_and_time_may_change_half_way(tmp_path: Path) -> None:
    parts = [
        make_video(tmp_path / "a.ts", 6, (64, 48), codec="mpeg2video", fps=25),
        make_video(tmp_path / "b.ts", 6, (96, 32), codec="mpeg2video", fps=25),
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(FileDecoder(str(path)))
    shapes = [frame.pixels.shape for frame in frames]
    assert [shape for shape, _ in groupby(shapes)] == [(48, 64, 3), (32, 96, 3)]
    assert len(frames) >= 10


def test_sound_alone_and_covers_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"a\.mp4: holds no video, only audio"):
        FileDecoder(str(path))


def test_huge_frames_are_refused_before_they_are_allocated(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.avi", 3, (64, 48), codec="mjpeg")
    data = path.read_bytes()
    sof = b"\x08\x00\x30\x00\x40"  # 8 bits, 48 high, 64 wide
    assert data.count(sof) == 3
    path.write_bytes(data.replace(sof, b"\x08\xff\xff\xff\xff"))
    decoder = FileDecoder(str(path))
    assert list(decoder) == []
    assert decoder.status == "truncated"


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A web server and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}", asked
        web.shutdown()


def playlists(folder: Path, url: str) -> dict[str, Path]:
    """Files that are no videos but name other files or addresses, and look like videos by name."""
    secret = make_video(folder / "secret.mp4", 3)
    texts = {
        "concat": "ffconcat version 1.0\nfile secret.mp4\n",
        "concat absolute": f"ffconcat version 1.0\nfile 'file:{secret}'\n",
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "m3u8 http": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/x.ts\n#EXT-X-ENDLIST\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}/x</BaseURL></MPD>',
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = folder / f"{name}.mp4"
        paths[name].write_text(text)
    return paths


def test_playlists_open_no_other_file_and_no_socket(
    tmp_path: Path, server: tuple[str, list[str]]
) -> None:
    url, asked = server
    paths = playlists(tmp_path, url)
    for path in paths.values():
        with pytest.raises(DataError, match="not a video file that can be read"):
            FileDecoder(str(path))
    assert asked == []
    with av.open(str(paths["concat"])) as control:  # libav by itself follows them
        assert sum(1 for _ in control.decode(video=0)) == 3
    with pytest.raises(av.error.FFmpegError):
        av.open(url + "/control.mp4")
    assert asked == ["/control.mp4"]


@pytest.mark.parametrize("name", ["http", "-", "-i", "file:{}", "concat:{}", "pipe:0", "a\0b", "/"])
def test_addresses_and_options_are_only_names(name: str, tmp_path: Path, server: tuple) -> None:
    url, asked = server
    path = make_video(tmp_path / "a.mp4", 2)
    with pytest.raises(DataError):
        FileDecoder(url + "/a.mp4" if name == "http" else name.format(path))
    assert asked == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_kernel_sees_no_other_file_and_no_socket(tmp_path: Path) -> None:
    paths = playlists(tmp_path, "http://127.0.0.1:9")
    good = make_video(tmp_path / "good.mkv", 2)
    code = (
        "import sys\n"
        "from stpn_data.video_decode import FileDecoder\n"
        "for path in sys.argv[1:]:\n"
        "    try: list(FileDecoder(path))\n"
        "    except ValueError: pass\n"
    )
    control = "import av, sys; list(av.open(sys.argv[1]).decode(video=0))"

    def opened(program: str, *arguments: Path) -> list[str]:
        log = tmp_path / "log"
        watch = ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=open,openat,socket,connect"]
        command = [*watch, sys.executable, "-c", program, *map(str, arguments)]
        subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)
        return [line for line in log.read_text().splitlines() if "ENOENT" not in line]

    lines = opened(code, good, *paths.values())
    assert any("good.mkv" in line for line in lines)
    assert not [line for line in lines if "secret.mp4" in line or "AF_INET" in line]
    assert any("secret.mp4" in line for line in opened(control, paths["concat"]))


FUZZ = """
import os, random, signal, sys
from stpn_data.errors import DataError
from stpn_data.video_decode import FileDecoder
if sys.argv[1] == 'crash':
    os.kill(os.getpid(), signal.SIGSEGV)
total = 0
for source in sys.argv[2:]:
    data = open(source, 'rb').read()
    for seed in range(15):
        rng = random.Random(seed)
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 5, 50))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        open(sys.argv[1], 'wb').write(damaged)
        try:
            decoder = FileDecoder(sys.argv[1], threads=1)
            count = sum(1 for _ in decoder)
        except DataError:
            continue
        assert decoder.status in ('complete', 'truncated', 'unknown')
        total += count
print(total)
"""


def test_damaged_files_give_frames_or_a_data_error(tmp_path: Path) -> None:
    sources = [
        make_video(tmp_path / "a.mp4", 8, codec="libx264"),
        make_video(tmp_path / "a.mkv", 8),
        make_video(tmp_path / "a.avi", 8, codec="mjpeg"),
        make_video(tmp_path / "a.ts", 8, codec="mpeg2video", fps=25),
    ]
    command = [sys.executable, "-c", FUZZ]
    paths = [str(tmp_path / "damaged"), *map(str, sources)]
    run = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout) > 200  # of 480: most damage is survived
    control = subprocess.run([*command, "crash"], capture_output=True, timeout=60)
    assert control.returncode < 0


def test_a_stream_that_begins_half_way(tmp_path: Path) -> None:
    """Found by damaging bytes at random: PyAV raises IndexError for it before version 19."""
    path = Path(__file__).parent / "corpus/stream_begins_half_way.ts"
    decoder = FileDecoder(str(path))
    assert len(list(decoder)) >= 4
    if int(av.__version__.split(".")[0]) >= 19:
        return
    with pytest.raises(IndexError), av.open(str(path)) as control:
        list(control.decode(video=0))
    assert "another stream begins half-way" in decoder.problems
    assert decoder.status == "truncated"
