from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stpn_data import image as image_module
from stpn_data.errors import DataError
from stpn_data.image import decode_image
from stpn_data.image_header import ImageHeader, image_size, read_header

WIDTH, HEIGHT = 48, 32


def picture(mode: str = "RGB") -> Image.Image:
    """A smooth gradient: every mode and codec keeps it nearly as it is."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([x * 5, y * 7, 255 - x * 3], axis=2).astype(np.uint8)
    rgb = Image.fromarray(pixels)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    return rgb.quantize(256) if mode == "P" else rgb.convert(mode)


def encoded(mode: str, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture(mode).save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png_bomb(width: int, height: int) -> bytes:
    """A small file of one colour that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [picture("P"), Image.new("P", (WIDTH, HEIGHT), 0)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def grey_of(image: torch.Tensor) -> bool:
    return bool((image[0] == image[1]).all() and (image[1] == image[2]).all())


JPEG = encoded("RGB", "JPEG", quality=95)
GOOD: dict[str, bytes] = {
    "jpeg": JPEG,
    "jpeg 4:4:4": encoded("RGB", "JPEG", quality=95, subsampling=0),
    "jpeg progressive": encoded("RGB", "JPEG", quality=95, progressive=True),
    "jpeg grey": encoded("L", "JPEG", quality=95),
    "jpeg cmyk": encoded("CMYK", "JPEG", quality=95),
    "jpeg trailing text": JPEG + b"<html>",
    "jpeg restart markers": encoded("RGB", "JPEG", quality=95, restart_marker_blocks=1),
    **{
        f"jpeg exif {n}": encoded("RGB", "JPEG", quality=95, exif=exif(n)) for n in (1, 3, 6, 8, 99)
    },
    "png": encoded("RGB", "PNG"),
    "png rgba": encoded("RGBA", "PNG"),
    "png la": encoded("LA", "PNG"),
    "png l": encoded("L", "PNG"),
    "png 1 bit": encoded("1", "PNG"),
    "png 16 bit": encoded("I;16", "PNG"),
    "png palette": encoded("P", "PNG"),
    "png palette, clear": encoded("P", "PNG", transparency=bytes(range(256))),
    "png exif 6": encoded("RGB", "PNG", exif=exif(6)),
    "gif": encoded("P", "GIF"),
    "gif animated": animation(),
    "webp": encoded("RGB", "WEBP", lossless=True),
    "webp lossy": encoded("RGB", "WEBP", quality=95),
    "webp alpha": encoded("RGBA", "WEBP", lossless=True),
    "bmp": encoded("RGB", "BMP"),
}
BAD: dict[str, tuple[bytes, str]] = {
    **{f"cut at {p} %": (JPEG[: len(JPEG) * p // 100], "cannot|cut") for p in (1, 10, 50, 90, 99)},
    "without its last two bytes": (JPEG[:-2], "cannot be decoded"),
    "progressive, cut": (GOOD["jpeg progressive"][:-200], "cannot be decoded"),
    "png, cut": (GOOD["png"][:-40], "cannot be decoded"),
    "webp, cut": (GOOD["webp"][:-20], "cannot be decoded"),
    "gif, cut": (GOOD["gif"][:-60], "cannot be decoded"),
    "empty": (b"", "the file is empty"),
    "zeros": (bytes(1000), "not a JPEG"),
    "html": (b"<!DOCTYPE html><html></html>", "not a JPEG"),
    "tiff": (encoded("RGB", "TIFF"), "not a JPEG"),
    "png header only": (GOOD["png"][:20], "cut off in its header"),
    "jpeg without frame": (b"\xff\xd8\xff\xd9", "without a frame header"),
    "jpeg of no height": (
        JPEG.replace(struct.pack(">HH", HEIGHT, WIDTH), b"\0\0\0\x30", 1),
        "48×0",
    ),
    "bomb": (png_bomb(8_000, 8_000), "8000×8000 is over 50 megapixels"),
    "liar": (
        GOOD["png"].replace(struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 9, 9)),
        "cannot",
    ),
    "gif larger than its screen": (
        GOOD["gif"].replace(
            struct.pack("<cHHHH", b",", 0, 0, WIDTH, HEIGHT),
            struct.pack("<cHHHH", b",", 0, 0, 65_535, 65_535),
        ),
        "larger than its header says",
    ),
    "too many scans": (GOOD["jpeg progressive"] + b"\xff\xda" * 501, "more than 500 scans"),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_becomes_uint8_rgb_in_the_stored_grid(name: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.ending"
    path.write_bytes(GOOD[name])
    image = decode_image(path, expect_size=(WIDTH, HEIGHT))
    assert (image.dtype, image.shape) == (torch.uint8, (3, HEIGHT, WIDTH))
    assert image.permute(1, 2, 0).is_contiguous()
    assert image_size(path) == (WIDTH, HEIGHT)
    assert torch.equal(decode_image(GOOD[name]), image)
    if any(word in name for word in ("grey", "la", "png l", "16", "1 bit")):
        assert grey_of(image)
    if "1 bit" not in name:
        wanted = torch.from_numpy(np.array(picture())).permute(2, 0, 1).float()
        if grey_of(image):
            grey = "I;16" if "16" in name else "L"
            wanted = torch.from_numpy(np.array(picture(grey)).astype(np.float32))[None]
            wanted = wanted / 257 if "16" in name else wanted
        assert (image.float() - wanted).abs().mean() < (
            12 if "p" in name[:5] or "gif" in name else 5
        )


@pytest.mark.parametrize("name", BAD)
def test_every_bad_file_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    data, reason = BAD[name]
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"x.jpg: .*({reason})"):
        decode_image(path)


def test_the_zoo_is_large_enough() -> None:
    assert len(GOOD) + len(BAD) >= 40


def test_a_size_other_than_annotated_is_an_error() -> None:
    with pytest.raises(DataError, match="the image is 48×32, but its annotation says 32×48"):
        decode_image(JPEG, expect_size=(HEIGHT, WIDTH))


def test_a_bomb_costs_no_memory(tmp_path: Path) -> None:
    code = """
import resource, sys
from stpn_data.image import decode_image
from stpn_data.errors import DataError
decode_image(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    try:
        answer = tuple(decode_image(path).shape)
    except DataError:
        answer = 'refused'
    print(answer, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    paths = []
    for name, data in (
        ("good", GOOD["png"]),
        ("png", png_bomb(8_000, 8_000)),
        ("gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(20)),
        ("control", png_bomb(7_000, 7_000)),  # below the cap: decoded, and the memory shows
    ):
        (tmp_path / name).write_bytes(data)
        paths.append(str(tmp_path / name))
    command = [sys.executable, "-c", code, *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    png, gif, control = (line.rsplit(" ", 1) for line in run.stdout.splitlines())
    assert png[0] == gif[0] == "refused"
    assert int(gif[1]) <= 64
    assert control[0] == "(3, 7000, 7000)"
    assert int(control[1]) > 64


def test_fast_and_plain_decoders_give_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = {name: decode_image(data) for name, data in GOOD.items() if name.startswith("jpeg")}

    monkeypatch.setattr(image_module, "_jpeg_decoder", lambda: image_module._decode_pillow)
    for name, image in fast.items():
        assert (decode_image(GOOD[name]).int() - image.int()).abs().max() <= 1, name


def test_no_warning_reaches_the_user() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in GOOD.values():
            decode_image(data)


@given(st.binary(max_size=60), st.sampled_from([*GOOD.values()]), st.integers(0, 400))
def test_damaged_headers_give_a_size_or_a_data_error(noise: bytes, good: bytes, at: int) -> None:
    data = good[:at] + noise + good[at + len(noise) :]
    try:
        header = read_header(data, "f")
    except DataError:
        return
    assert header.width >= 1
    assert header.height >= 1


def test_real_frames_match_pillow(shared: Path) -> None:
    for path in sorted((shared / "data/frames").glob("*/*.JPEG"))[::40]:
        wanted = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)
        assert (decode_image(path).int() - wanted.int()).abs().max() <= 1


def test_no_decoder_sees_an_orientation(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []

    def decode(data: bytearray, header: ImageHeader) -> torch.Tensor:
        given.append(bytes(data))
        return image_module._decode_pillow(data, header)

    monkeypatch.setattr(image_module, "_jpeg_decoder", lambda: decode)
    decode_image(GOOD["jpeg exif 6"])
    assert dict(Image.open(io.BytesIO(GOOD["jpeg exif 6"])).getexif()) == {0x0112: 6}  # control
    assert dict(Image.open(io.BytesIO(given[0])).getexif()) == {}
