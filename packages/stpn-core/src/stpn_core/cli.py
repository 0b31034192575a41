"""The `stpn` command: finds the installed sub-commands, runs one, and turns errors into exit codes.

Nothing heavy is imported here: `stpn --help` answers before torch could be loaded.
"""

from __future__ import annotations

import difflib
import os
import select
import sys
import traceback
from collections.abc import Callable, Sequence

from stpn_core.errors import InputError
from stpn_core.plugins import (
    COMMANDS,
    Plugin,
    PluginBroken,
    find_plugins,
    installed_distributions,
)

Command = Callable[[Sequence[str]], "int | None"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `stpn ARGV`; returns the exit code (see `stpn_core.errors`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()  # a reader that left is noticed here, not in the interpreter's shutdown
    except KeyboardInterrupt as stop:
        return _report(stop, "interrupted", 130)
    except BrokenPipeError as error:
        if not _stdout_gone():
            return _unknown()
        _debug(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell reports for a program that a closed pipe ended
    except Exception as error:
        code_of_error = getattr(error, "exit_code", None)
        if isinstance(code_of_error, int) and not isinstance(code_of_error, bool):
            return _report(error, f"error: {error}", code_of_error)
        if _is_out_of_memory(error):
            return _report(error, f"error: {_memory_advice(error)}", 4)
        return _unknown()
    return code


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        _print_help()
        return 0
    name, rest = arguments[0], arguments[1:]
    if name in ("-V", "--version"):
        for distribution, version in installed_distributions():
            print(f"{distribution} {version}")
        return 0
    if name in BUILT_IN:
        return BUILT_IN[name](rest) or 0
    plugins = {plugin.name: plugin for plugin in find_plugins(COMMANDS)}
    if name not in plugins:
        raise InputError(_unknown_command(name, [*BUILT_IN, *plugins]))
    return plugins[name].load()(rest) or 0


def _tasks(argv: Sequence[str]) -> int:
    """List the installed plugins with the distribution and version of each."""
    if argv:
        if argv[0] in ("-h", "--help"):
            print(f"usage: stpn tasks\n\n{_tasks.__doc__}")
            return 0
        raise InputError(f"stpn tasks takes no arguments, got {' '.join(argv)!r}")
    plugins = find_plugins(COMMANDS)
    if not plugins:
        print("no plugins installed; install a task package to add its commands")
    width = max((len(plugin.name) for plugin in plugins), default=0)
    for plugin in plugins:
        owner = f"{plugin.distribution} {plugin.version}"
        print(f"{plugin.name:<{width}}  {owner:<20}  {_one_line(plugin)}")
    return 0


def _convert(argv: Sequence[str]) -> int | None:
    """Turn a checkpoint from elsewhere into safe STPN weights."""
    from stpn_core.convert import main as convert

    return convert(argv)


BUILT_IN: dict[str, Command] = {"convert": _convert, "tasks": _tasks}


def _print_help() -> None:
    rows = [(name, _first_line(command)) for name, command in BUILT_IN.items()]
    rows += [(plugin.name, _one_line(plugin)) for plugin in find_plugins(COMMANDS)]
    width = max(len(name) for name, _ in rows)
    print("usage: stpn COMMAND ...\n\nSpatio-temporal prompting for video.\n\ncommands:")
    for name, line in sorted(rows):
        print(f"  {name:<{width}}  {line}")
    print(
        "\n`stpn COMMAND --help` explains a command; `stpn --version` lists what is installed."
        "\nSTPN_DEBUG=1 shows the traceback of an error."
    )


def _one_line(plugin: Plugin) -> str:
    if plugin.name in BUILT_IN:
        return f"error: '{plugin.name}' of {plugin.distribution} is shadowed by stpn's own command"
    try:
        return _first_line(plugin.load())
    except PluginBroken as error:
        return f"error: {error}"


def _first_line(command: Command) -> str:
    lines = (command.__doc__ or "").strip().splitlines()
    return lines[0].rstrip(".") if lines else "(no description)"


def _unknown_command(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    advice = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(sorted(known))}"
    return f"no command '{name}'; {advice}"


def _report(error: BaseException, line: str, code: int) -> int:
    _debug(error)
    # Names from a hostile file must not steer the terminal.
    print("".join(c if c.isprintable() or c == "\n" else "?" for c in line), file=sys.stderr)
    return code


def _debug(error: BaseException) -> None:
    if os.environ.get("STPN_DEBUG") == "1":
        traceback.print_exception(error)


def _unknown() -> int:
    traceback.print_exc()
    return 1


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # not loaded: then the error is not torch's
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        sign in str(error) for sign in ("DefaultCPUAllocator", "out of memory")
    )


def _memory_advice(error: BaseException) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return (
        f"out of memory: {said[:300]}\n"
        "use a smaller batch, smaller frames or fewer support frames; nothing was made smaller "
        "silently and saved checkpoints are intact"
    )


def _stdout_gone() -> bool:
    """True if whoever read our output has left (a broken pipe elsewhere is a real error)."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file: nothing that could break
        return False
    if not hasattr(select, "poll"):
        return True  # Windows: the likely case
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0))


if __name__ == "__main__":
    sys.exit(main())
