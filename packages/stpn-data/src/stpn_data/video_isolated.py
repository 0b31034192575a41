"""Decoding a video file in a child process, so that a crash of the decoder kills only the child.

The child may use a bounded amount of memory, write no file and dump no core. It sends what it reads
through a pipe: one line of JSON about the file, then for each frame a header and its pixels, then
one line about how it ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from stpn_data.errors import DataError
from stpn_data.video_decode import MAX_PIXELS, Decoded, FileDecoder

MAX_MEMORY = 4 * 1024**3  # bytes of address space of the child
MAX_SILENCE = 60.0  # seconds
_HEAD = struct.Struct("<IId")  # height, width, time; 0, 0 closes the frames
_LENGTH = struct.Struct("<I")  # of a JSON text


class IsolatedDecoder:
    """`FileDecoder` at the other end of a pipe. A child that dies is a DataError naming the
    file.
    """

    def __init__(
        self,
        path: str,
        threads: int = 0,
        *,
        memory: int = MAX_MEMORY,
        silence: float = MAX_SILENCE,
    ) -> None:
        self.path = path
        self.status = "unknown"
        self.problems: list[str] = []
        self._silence = silence
        self._frames = 0
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(threads), str(memory), path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p)),
        )
        assert self._child.stdout is not None
        self._pipe: IO[bytes] = self._child.stdout
        try:
            about = self._json()
            if "error" in about:
                raise DataError(about["error"])
            self.fps = float(about["fps"])
            self.length_hint: int | None = about["length_hint"]
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Decoded]:
        try:
            while True:
                height, width, time = _HEAD.unpack(self._exactly(_HEAD.size))
                if not height:
                    break
                if height * width > MAX_PIXELS:
                    raise DataError(f"{self.path}: a frame of {width}×{height} pixels")
                pixels = np.frombuffer(self._exactly(height * width * 3), np.uint8)
                self._frames += 1
                yield Decoded(pixels.reshape(height, width, 3), time)
            end = self._json()
            self.status, self.problems = end["status"], end["problems"]
        finally:
            self.close()

    def close(self) -> None:
        """End the child."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._pipe.close()

    def _json(self) -> dict[str, Any]:
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return json.loads(self._exactly(length))

    def _exactly(self, count: int) -> bytearray:
        data = bytearray(count)
        rest = memoryview(data)
        while rest:
            ready, _, _ = select.select([self._pipe], [], [], self._silence)
            if not ready:
                raise DataError(
                    f"{self.path}: the decoder gave nothing for {self._silence:.0f} s after "
                    f"{self._frames} frames"
                )
            got = os.readv(self._pipe.fileno(), [rest])
            if not got:
                raise self._died()
            rest = rest[got:]
        return data

    def _died(self) -> DataError:
        code = self._child.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return DataError(
            f"{self.path}: the decoder crashed ({how}) after {self._frames} frames; the file is "
            "damaged or made to harm"
        )


def _limit(memory: int) -> None:
    import resource

    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))


def _serve(path: str, threads: int, out: IO[bytes]) -> None:
    def say(about: dict[str, Any]) -> None:
        text = json.dumps(about).encode()
        out.write(_LENGTH.pack(len(text)) + text)
        out.flush()

    try:
        decoder = FileDecoder(path, threads)
    except DataError as error:
        return say({"error": str(error)})
    say({"fps": decoder.fps, "length_hint": decoder.length_hint})
    for pixels, time, _ in decoder:
        out.write(_HEAD.pack(*pixels.shape[:2], time))
        out.write(np.ascontiguousarray(pixels).data)
    out.write(_HEAD.pack(0, 0, 0.0))
    return say({"status": decoder.status, "problems": decoder.problems})


if __name__ == "__main__":
    _limit(int(sys.argv[2]))
    _serve(sys.argv[3], int(sys.argv[1]), sys.stdout.buffer)
