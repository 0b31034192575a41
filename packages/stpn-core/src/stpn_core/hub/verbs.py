"""`stpn TASK save` and `stpn TASK push`, the same for every task."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from stpn_core.command import Verb, parse_flags


def hub_verbs(task: str) -> dict[str, Verb]:
    """The two verbs of `stpn TASK`. The module `stpn_TASK.hub`, imported when one runs, holds
    `save_pretrained` and `push_to_hub`."""

    def save(argv: Sequence[str]) -> int:
        from stpn_core.hub.arguments import SaveArguments

        arguments = parse_flags(SaveArguments, argv, f"stpn {task} save")
        print(
            import_module(f"stpn_{task}.hub").save_pretrained(
                arguments.source,
                arguments.folder,
                licence=arguments.licence,
                repository=arguments.repository,
            )
        )
        return 0

    def push(argv: Sequence[str]) -> int:
        from stpn_core.hub.arguments import PushArguments

        arguments = parse_flags(PushArguments, argv, f"stpn {task} push")
        print(
            import_module(f"stpn_{task}.hub").push_to_hub(
                arguments.source,
                arguments.repository,
                private=not arguments.public,
                licence=arguments.licence,
                revision=arguments.revision,
            )
        )
        return 0

    save.__doc__ = (
        f"Make a folder with weights, configuration and model card: `stpn {task} save RUN FOLDER`."
    )
    push.__doc__ = (
        f"Upload such a folder to the Hugging Face Hub: `stpn {task} push RUN OWNER/NAME`."
    )
    return {"save": save, "push": push}
