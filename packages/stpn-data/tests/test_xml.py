from __future__ import annotations

import contextlib
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpn_data import xml
from stpn_data.errors import DataError
from stpn_data.index import GENERATED, OCCLUDED
from stpn_data.xml import MAX_BYTES, parse_annotation, read_annotation

COMMON = b"""<annotation>
\t<folder>a/b</folder>
\t<filename>000000</filename>
\t<source>
\t\t<database>ILSVRC_2015</database>
\t</source>
\t<size>
\t\t<width>1280</width>
\t\t<height>720</height>
\t</size>
\t<object>
\t\t<trackid>3</trackid>
\t\t<name>n01674464</name>
\t\t<bndbox>
\t\t\t<xmax>591</xmax>
\t\t\t<xmin>132</xmin>
\t\t\t<ymax>694</ymax>
\t\t\t<ymin>264</ymin>
\t\t</bndbox>
\t\t<occluded>1</occluded>
\t\t<generated>0</generated>
\t</object>
</annotation>
"""
DET = b"""<annotation><folder>x</folder><filename>y</filename><source><database>d</database></source>
<size><width>500</width><height>333</height><depth>3</depth></size><segmented>0</segmented>
<object><name>n02691156</name><pose>Unspecified</pose><bndbox><xmin>1</xmin><ymin>2.5</ymin>
<xmax>300</xmax><ymax>200</ymax></bndbox></object></annotation>"""


def test_the_common_form() -> None:
    found = parse_annotation(COMMON, "f.xml")
    assert (found.width, found.height) == (1280, 720)
    assert found.boxes == [(132, 264, 591, 694)]
    assert found.names == ["n01674464"]
    assert (found.tracks, found.flags) == ([3], [OCCLUDED])
    assert xml._scan(COMMON) == found  # the quick way was taken
    generated = COMMON.replace(b"<generated>0", b"<generated>1")
    assert parse_annotation(generated, "f").flags == [OCCLUDED | GENERATED]


def test_other_forms_go_to_expat() -> None:
    assert xml._scan(DET) is None
    found = parse_annotation(DET, "f.xml")
    assert found.boxes == [(1, 2.5, 300, 200)]
    assert (found.tracks, found.flags) == ([-1], [0])
    for text in (
        COMMON.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + COMMON,
        b'<?xml version="1.0" encoding="latin-1"?>' + COMMON,
        COMMON.replace(b"<size>", b"<!-- x --><size a='1'>"),
        COMMON.replace(b"591", b" 591 ").replace(b"n01674464", b"n016<![CDATA[74464]]>"),
    ):
        assert parse_annotation(text, "f.xml") == parse_annotation(COMMON, "f.xml")


def test_every_real_annotation_reads_the_same_both_ways(shared: Path) -> None:
    files = sorted((shared / "data").glob("vid_*/Annotations/**/*.xml"))
    assert len(files) > 300
    for file in files:
        data = file.read_bytes()
        assert xml._scan(data) == xml._parse(data, "f"), file


@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_the_scanner_never_disagrees_with_expat(rng: random.Random, edits: int) -> None:
    """Damaged files: where the quick way answers at all, expat gives the same answer."""
    data = bytearray(rng.choice([COMMON, DET]))
    pieces = re.findall(rb"<[^>]*>|[^<]+", bytes(data))
    for _ in range(edits):
        match rng.randrange(4):
            case 0:
                data[rng.randrange(len(data))] = rng.randrange(256)
            case 1:
                at = rng.randrange(len(data))
                data[at:at] = rng.choice(
                    [*pieces, b"<!--", b"-->", b"&lt;", b"]]>", b"\x0b", b"\r"]
                )
            case 2:
                at = rng.randrange(len(data))
                del data[at : at + rng.randrange(1, 30)]
            case 3:
                a, b = rng.choice(pieces), rng.choice(pieces)
                data = bytearray(bytes(data).replace(a, b, 1)) or bytearray(b" ")
    quick = xml._scan(bytes(data))
    if quick is not None:
        assert quick == xml._parse(bytes(data), "f")
    with contextlib.suppress(DataError):  # any other error is a failure
        parse_annotation(bytes(data), "f")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<size>", b"<size2>", "not readable as XML"),
        (b"<width>1280</width>", b"", "size has no <width>"),
        (b">1280<", b">0<", "the size is 0×720"),
        (b">1280<", b">wide<", "<width> is 'wide', expected a number"),
        (b">591<", b">nan<", "<xmax> is 'nan'"),
        (b">591<", b">1e5<", "<xmax> is '1e5'"),
        (b">591<", b">" + b"9" * 5000 + b"<", "expected a number"),
        (b">591<", "> ٣<".encode(), "expected a number"),
        (b"<xmin>132</xmin>", b"", "object 1 has no <xmin>"),
        (b"<name>n01674464</name>", b"", "object 1 has no <name>"),
        (b"<xmin>132</xmin>", b"<xmin>1<b/>2</xmin>", "holds another element"),
        (b"<xmin>132</xmin>", b"<xmin>1</xmin><xmin>2</xmin>", "given twice"),
        (b"</annotation>", b"", "not readable as XML"),
        (b"</annotation>", b"</annotation><a/>", "not readable as XML"),
        (b"annotation>", b"html>", "the root element is <html>"),
        (b"a/b", b"\xff\xfe", "not readable as XML"),
    ],
)
def test_faults_are_named(old: bytes, new: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"f.xml: .*{re.escape(reason)}"):
        parse_annotation(COMMON.replace(old, new), "f.xml")


ATTACKS = {
    "laughs": "<!DOCTYPE a [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{i + 1} '{f'&a{i};' * 10}'>" for i in range(12))
    + "]><annotation>&a12;</annotation>",
    "quadratic": f"<!DOCTYPE a [<!ENTITY x '{'A' * 50_000}'>]><annotation>{'&x;' * 150}</annotation>",
    "chain": "<!DOCTYPE a [<!ENTITY a0 'x'>"
    + "".join(f"<!ENTITY a{i + 1} '&a{i};'>" for i in range(9_000))
    + "]><annotation>&a9000;</annotation>",
    "external": "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><annotation>&x;</annotation>",
    "dtd": "<!DOCTYPE annotation SYSTEM 'http://example.org/x.dtd'><annotation/>",
    "deep": "<annotation>" + "<a>" * 80_000,
    "attribute": f"<annotation a='{'&#65;' * 50_000}'/>",
    "attributes": "<annotation " + " ".join(f"a{i}=''" for i in range(25_000)) + "/>",
    "comment": "<!--" + "-" * 200_000,
}
CHILD = """
import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
from stpn_data.errors import DataError
from stpn_data.xml import parse_annotation
parse_annotation(open(sys.argv[1], 'rb').read(), 'ok')
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    if path == 'crash':
        os.kill(os.getpid(), signal.SIGSEGV)
    try:
        parse_annotation(open(path, 'rb').read(), 'attack')
        print('accepted', path)
    except DataError as error:
        assert str(error).startswith('attack: ')
print('grown', (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def attack_files(folder: Path) -> list[str]:
    files = []
    for name, text in ATTACKS.items():
        for encoding in ("utf-8", "utf-16", "utf-16-be", "cp037"):
            head = "" if encoding == "utf-8" else f"<?xml version='1.0' encoding='{encoding}'?>"
            file = folder / f"{name}.{encoding}.xml"
            file.write_bytes((head + text).encode(encoding)[:MAX_BYTES])
            files.append(str(file))
    return files


def test_hostile_files_are_refused_without_a_crash(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(COMMON)
    files = attack_files(tmp_path)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "good")]
    run = subprocess.run([*command, *files], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert "accepted" not in run.stdout
    grown = int(run.stdout.split("grown ")[1])
    assert grown <= 16, f"{grown} MiB"
    control = subprocess.run([*command, "crash"], capture_output=True, text=True, timeout=60)
    assert control.returncode == -signal.SIGSEGV  # a crash would have been seen


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.xml"
    path.write_bytes(COMMON + b" " * MAX_BYTES)
    with pytest.raises(DataError, match="more than the 262,144 allowed"):
        read_annotation(path)
    with pytest.raises(DataError, match="more than the 262,144 allowed"):
        parse_annotation(path.read_bytes(), "f")
