"""The project's checks, one session per package, each in its own environment.

`nox` alone runs what a contributor needs before a push. `nox -l` lists everything. Packages are read
from `packages/*/pyproject.toml`: a new task package takes part by existing.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13")

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "tests", "contracts", "docs", "wheel"]


@dataclass(frozen=True)
class Package:
    name: str
    path: Path
    siblings: tuple[str, ...]  # workspace packages it depends on
    requires: tuple[str, ...]

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def src(self) -> Path:
        return self.path / "src"


def read_packages() -> dict[str, Package]:
    packages = {}
    for file in sorted(ROOT.glob("packages/*/pyproject.toml")):
        table = tomllib.loads(file.read_text())
        packages[table["project"]["name"]] = Package(
            name=table["project"]["name"],
            path=file.parent.relative_to(ROOT),
            siblings=tuple(table.get("tool", {}).get("uv", {}).get("sources", {})),
            requires=tuple(table["project"]["dependencies"]),
        )
    return packages


PACKAGES = read_packages()
BASE = ("stpn-core", "stpn-data")  # what tasks stand on; everything else is a task
TASKS = tuple(name for name in PACKAGES if name not in BASE)
each_package = nox.parametrize("pkg", [nox.param(name, id=name) for name in PACKAGES])


def sync(session: nox.Session, *args: str) -> None:
    """Install from the lock into the session's environment, then check ranges among siblings.

    uv does not hold workspace members to the ranges they declare on each other; `uv pip check` does.
    """
    env = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install(
        "uv", "sync", "--locked", "--no-default-groups", "--python",
        session.virtualenv.location, *args, env=env, silent=True,
    )  # fmt: skip
    session.run_install("uv", "pip", "check", "--python", session.virtualenv.location, silent=True)


def run_pytest(session: nox.Session, *args: str) -> None:
    session.run("python", "-m", "pytest", *args, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, the arrows between packages, and file length."""
    # import-linter imports nothing: it reads sources, so the packages need not be installed
    sync(session, "--only-group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    config = Path(session.create_tmp()) / "importlinter.ini"
    config.write_text(import_contracts())
    path = os.pathsep.join(str(ROOT / package.src) for package in PACKAGES.values())
    session.run(
        "lint-imports", "--config", str(config), "--no-cache", env={"PYTHONPATH": path}, silent=True
    )
    session.run("python", "tests/file_length.py", "packages", "benchmarks", "study", "noxfile.py")


def import_contracts() -> str:
    """Arrows go one way: tasks -> core, data; core and data stand alone; tasks ignore each other."""
    modules = {name: package.module for name, package in PACKAGES.items()}
    lines = ["[importlinter]", "root_packages ="]
    lines += [f"    {module}" for module in modules.values()]
    for base in BASE:
        others = [module for name, module in modules.items() if name != base]
        lines += [f"[importlinter:contract:{base}]", f"name = {base} imports no sibling"]
        lines += ["type = forbidden", "source_modules =", f"    {modules[base]}"]
        lines += ["forbidden_modules =", *(f"    {module}" for module in others)]
    for task in TASKS:
        others = [modules[other] for other in TASKS if other != task]
        if others:
            lines += [f"[importlinter:contract:{task}]", f"name = {task} imports no other task"]
            lines += ["type = forbidden", "source_modules =", f"    {modules[task]}"]
            lines += ["forbidden_modules =", *(f"    {module}" for module in others)]
    return "\n".join(lines) + "\n"


@nox.session
@each_package
def types(session: nox.Session, pkg: str) -> None:
    """mypy over one package's sources."""
    sync(session, "--package", pkg, "--group", "types")
    session.run("mypy", str(PACKAGES[pkg].src), silent=True)


@nox.session(python=PYTHONS if os.environ.get("STPN_ALL_PYTHONS") else None)
@each_package
def tests(session: nox.Session, pkg: str) -> None:
    """One package's tests with only its declared dependencies."""
    sync(session, "--package", pkg, "--group", "test")
    run_pytest(session, "-m", "not gpu", str(PACKAGES[pkg].path))


@nox.session
@each_package
def floor(session: nox.Session, pkg: str) -> None:
    """One package's tests on the lowest versions it declares."""
    package = PACKAGES[pkg]
    editable = [
        arg for name in (*package.siblings, pkg) for arg in ("-e", str(PACKAGES[name].path))
    ]
    session.run_install(
        "uv", "pip", "install", "--python", session.virtualenv.location,
        "--resolution", "lowest-direct", *editable,
        "--group", f"{package.path}/pyproject.toml:test", silent=True,
    )  # fmt: skip
    session.run_install("uv", "pip", "check", "--python", session.virtualenv.location, silent=True)
    # old versions warn about each other; only the newest ones must be free of warnings
    run_pytest(session, "-W", "default", "-m", "not gpu", str(package.path))


@nox.session
@each_package
def wheel(session: nox.Session, pkg: str) -> None:
    """Built wheels, installed outside the workspace: command, plugin, and version ranges."""
    package = PACKAGES[pkg]
    dist = Path(session.create_tmp()).resolve() / "dist"
    for name in (*package.siblings, pkg):
        session.run_install(
            "uv", "build", "--wheel", "--package", name, "--out-dir", str(dist), "-q", silent=True
        )
    session.run_install(
        "uv", "pip", "install", "--python", session.virtualenv.location,
        "--find-links", str(dist), "--reinstall-package", pkg,
        *(str(wheel) for wheel in sorted(dist.glob("*.whl"))), silent=True,
    )  # fmt: skip
    session.run_install("uv", "pip", "check", "--python", session.virtualenv.location, silent=True)
    session.run_install("uv", "pip", "install", "--python", session.virtualenv.location,
                        "packaging", silent=True)  # fmt: skip
    absent = [PACKAGES[name].module for name in PACKAGES if name not in (*package.siblings, pkg)]
    check = str(ROOT / "tests" / "installed_wheel.py")
    with session.chdir(session.create_tmp()):  # away from the sources
        session.run("python", check, pkg, str(dist), *absent)


@nox.session
def contracts(session: nox.Session) -> None:
    """Every plugin together: commands, changelogs, documented commands, release files."""
    sync(session, "--all-packages", "--all-groups")
    run_pytest(session, "tests/contracts")


@nox.session
def docs(session: nox.Session) -> None:
    """Links and pictures in every Markdown file, and the rendered site."""
    sync(session, "--only-group", "docs")
    session.run("python", "docs/check_links.py")
    session.run("zensical", "build", "--clean", "--strict", silent=True)


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities in the locked set; fails if any locked package was not looked up."""
    session.install("pip-audit>=2.9")
    requirements = Path(session.create_tmp()) / "locked.txt"
    session.run_install(
        "uv", "export", "--locked", "--all-packages", "--no-emit-workspace",
        "--format", "requirements-txt", "-o", str(requirements), silent=True,
    )  # fmt: skip
    session.run("python", "tests/audit.py", str(requirements))


@nox.session
@each_package
def gpu(session: nox.Session, pkg: str) -> None:
    """Tests marked gpu; fails where there is no CUDA device."""
    sync(session, "--package", pkg, "--group", "test")
    session.run("python", "-c", "import torch, sys; sys.exit(not torch.cuda.is_available())")
    run_pytest(session, "-m", "gpu", str(PACKAGES[pkg].path))


@nox.session
def bench(session: nox.Session) -> None:
    """Every script under benchmarks/, quick sizes unless arguments say otherwise."""
    sync(session, "--all-packages", "--all-extras", "--group", "bench")
    for script in sorted((ROOT / "benchmarks").glob("*.py")):
        if not script.name.startswith("_"):
            session.run("python", str(script), *(session.posargs or ["--quick"]))


@nox.session
def study(session: nox.Session) -> None:
    """Does prompting help? Runs what is missing; `-- --quick` shows in a minute that it runs."""
    sync(session, "--all-packages")
    session.run("python", "-m", "study", *session.posargs)
