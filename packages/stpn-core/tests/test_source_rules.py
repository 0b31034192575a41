"""What no source file of the workspace may contain, found in the syntax tree.

Untrusted files become objects in two places only; nothing else unpickles, evaluates text, starts a
shell or unpacks an archive.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# torch.load is allowed here, and only with weights_only=True written out.
READS_TORCH_FILES = (
    "packages/stpn-core/src/stpn_core/weights/torch_zip.py",
    "packages/stpn-core/src/stpn_core/runs/",
)
# Here an empty class of ours, and nothing else, stands in for names that a scan has let through.
GIVES_STAND_INS = "packages/stpn-core/src/stpn_core/weights/torch_zip.py"
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "torch.hub.load": "runs code from the network",
    "torch.jit.load": "runs the program in the file",
    "torch.export.load": "falls back to pickle",
    "torch.package.PackageImporter": "runs the program in the file",
    "os.system": "starts a shell",
    "os.popen": "starts a shell",
    "subprocess.getoutput": "starts a shell",
    "subprocess.getstatusoutput": "starts a shell",
    "yaml.load": "makes any object",
    "yaml.unsafe_load": "makes any object",
    "yaml.full_load": "makes any object",
    "shutil.unpack_archive": "writes where the archive says",
    "pandas.read_pickle": "runs code",
    "torch.serialization.add_safe_globals": "weakens torch.load everywhere",
    "torch.serialization.safe_globals": "weakens torch.load",
}
METHODS = {"extractall": "writes where the archive says"}


def violations(source: str, path: str) -> list[str]:
    """`path:line: reason` of each forbidden construct in `source`."""
    tree = ast.parse(source)
    names = _imported(tree)
    found = [
        f"{path}:{node.lineno}: {reason}"
        for node in ast.walk(tree)
        for reason in (*_import_rules(node), *_reference_rules(node, names, path))
    ]
    found += [
        f"{path}:{node.lineno}: {reason}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for reason in _call_rules(node, names, path)
    ]
    return found


def _imported(tree: ast.AST) -> dict[str, str]:
    """Local name -> full name, so that `import torch as t; from torch import load` are seen."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                names[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _full_name(node: ast.AST, names: dict[str, str]) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(["?", *reversed(parts)])
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _import_rules(node: ast.AST) -> Iterator[str]:
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    for module in modules:
        if module.split(".")[0] in MODULES:
            yield f"imports {module}, which runs code when it reads"
        if module == "torch.hub" or module.startswith("torch.hub."):
            yield "imports torch.hub, which runs code from the network"


def _reference_rules(node: ast.AST, names: dict[str, str], path: str) -> Iterator[str]:
    """Forbidden also without a call: it could be handed on and called elsewhere."""
    if not isinstance(node, ast.Attribute | ast.Name):
        return
    name = _full_name(node, names)
    if name in CALLS and (name != "torch.serialization.safe_globals" or path != GIVES_STAND_INS):
        yield f"{name} {CALLS[name]}"
    if name in ("torch.load", "torch.serialization.load") and not path.startswith(
        READS_TORCH_FILES
    ):
        yield f"{name} outside the one loader; use stpn_core.weights.read_checkpoint"
    if isinstance(node, ast.Name) and node.id in BUILTINS and isinstance(node.ctx, ast.Load):
        yield f"{node.id} runs text"


def _call_rules(node: ast.Call, names: dict[str, str], path: str) -> Iterator[str]:
    name = _full_name(node.func, names)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if name.endswith((".load", ".loads")) and name.split(".")[0] in MODULES:
        yield f"{name} runs code"
    if name in ("torch.load", "torch.serialization.load"):
        flag = keywords.get("weights_only")
        if not (isinstance(flag, ast.Constant) and flag.value is True):
            yield "torch.load without weights_only=True written out"
    if "pickle_module" in keywords:
        yield "pickle_module switches the safe reader off"
    if _is_on(keywords, "shell"):
        yield "shell=True starts a shell"
    if _is_on(keywords, "allow_pickle"):
        yield "allow_pickle=True runs code"
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        yield f".{node.func.attr} {METHODS[node.func.attr]}"


def _is_on(keywords: dict[str | None, ast.expr], name: str) -> bool:
    """True unless the keyword is absent or plainly False."""
    value = keywords.get(name)
    return value is not None and not (isinstance(value, ast.Constant) and value.value is False)


def sources() -> list[Path]:
    """All Python files that are shipped or run by developers; tests may build hostile files."""
    found = [*ROOT.glob("packages/*/src/**/*.py"), *ROOT.glob("benchmarks/**/*.py")]
    found += [path for path in (ROOT / "noxfile.py", ROOT / "conftest.py") if path.exists()]
    return sorted(found)


def test_no_source_breaks_the_rules() -> None:
    found = [
        line
        for path in sources()
        for line in violations(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert not found, "\n" + "\n".join(found)


def test_the_sources_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert READS_TORCH_FILES[0] in names
    assert len(names) > 20


LOADER = READS_TORCH_FILES[0]
BAD = [
    ("import torch\ntorch.load(f)", LOADER),
    ("import torch\ntorch.load(f, weights_only=False)", LOADER),
    ("import torch\ntorch.load(f, weights_only=flag)", LOADER),
    ("import torch\ntorch.load(f, weights_only=True, pickle_module=p)", LOADER),
    ("import torch\ntorch.load(f, weights_only=True)", "packages/stpn-vod/src/stpn_vod/x.py"),
    ("from torch import load\nload(f, weights_only=True)", "x.py"),
    ("import torch as t\nreader = t.load", "x.py"),
    ("import torch\ntorch.hub.load('a/b', 'c')", "x.py"),
    ("from torch import hub", "x.py"),
    ("from torch.hub import load_state_dict_from_url", "x.py"),
    ("import torch.hub", "x.py"),
    ("import torch\ntorch.jit.load(f)", "x.py"),
    ("import torch\ntorch.serialization.add_safe_globals([A])", "x.py"),
    ("import torch\ntorch.serialization.add_safe_globals([A])", GIVES_STAND_INS),
    (
        "import torch\ntorch.serialization.safe_globals([A])",
        "packages/stpn-core/src/stpn_core/x.py",
    ),
    ("import pickle", "x.py"),
    ("from pickle import loads", "x.py"),
    ("import joblib\njoblib.load(f)", "x.py"),
    ("eval('1')", "x.py"),
    ("exec(text)", "x.py"),
    ("run = exec", "x.py"),
    ("import os\nos.system('ls')", "x.py"),
    ("from os import system\nsystem('ls')", "x.py"),
    ("import subprocess\nsubprocess.run('ls', shell=True)", "x.py"),
    ("import subprocess\nsubprocess.run('ls', shell=flag)", "x.py"),
    ("import yaml\nyaml.load(f)", "x.py"),
    ("archive.extractall(folder)", "x.py"),
    ("import numpy as np\nnp.load(f, allow_pickle=True)", "x.py"),
    ("import shutil\nshutil.unpack_archive(f)", "x.py"),
    ("def f():\n    import marshal\n    return marshal", "x.py"),
]
GOOD = [
    ("import torch\ntorch.load(f, map_location='cpu', weights_only=True)", LOADER),
    ("import numpy as np\nnp.load(f, allow_pickle=False)", "x.py"),
    ("import subprocess\nsubprocess.run(['ls'], shell=False)", "x.py"),
    ("import json\njson.load(f)", "x.py"),
    ("import yaml\nyaml.safe_load(f)", "x.py"),
    ("model.eval()", "x.py"),
    ("import re\nre.compile('x')", "x.py"),
    ("import torch\ntorch.compile(model)", "x.py"),
    ("import pickletools\npickletools.genops(data)", "x.py"),
]


@pytest.mark.parametrize(("source", "path"), BAD)
def test_a_bad_snippet_is_caught(source: str, path: str) -> None:
    """Control: the rules find what they are there for."""
    assert violations(source, path)


@pytest.mark.parametrize(("source", "path"), GOOD)
def test_a_good_snippet_passes(source: str, path: str) -> None:
    assert violations(source, path) == []
