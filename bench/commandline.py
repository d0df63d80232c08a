"""What the command lines share: exit statuses, and one line for whatever is wrong."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

EXIT_OK, EXIT_RUN_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def _whole(_: Any, tokens: Sequence[Any]) -> int:
    """An integer of at least 1, as it stands: cyclopts would round 1.5."""
    from bench.parameters import Parameter, Range

    name, text = tokens[0].keyword or "", tokens[0].value
    try:
        return int(Parameter(name, int, range=Range(least=1)).convert(text, name))
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"{name}: ")) from None  # cyclopts says which flag


Count = Annotated[int, Parameter(converter=_whole)]
"""How many of something, at least 1."""


def version() -> str:
    """What ``--version`` says."""
    from bench.provenance import package_version

    return f"tworoads {package_version()}"


def serve(
    app: App,
    name: str,
    arguments: Sequence[str] | None,
    *,
    interrupted: str,
    failures: tuple[type[Exception], ...] = (),
) -> int:
    """Run a command line: whatever is wrong with it is said in one line on stderr, with exit status 2.

    Args:
        app: its command returns an exit status.
        name: before what it complains of, "bench.run".
        arguments: the process' own where None.
        interrupted: what to say after a Ctrl-C, or a cluster's SIGTERM.
        failures: what ends it with status 1 and one line.
    """
    from bench.errors import UserError

    def say(message: str, status: int) -> int:
        print(f"{name}: {message}", file=sys.stderr)
        return status

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what runs is ended, tables are written
    try:
        result = app(
            list(arguments) if arguments is not None else sys.argv[1:],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except UserError as error:
        return say(str(error), EXIT_USAGE)
    except UnusedCliTokensError as error:
        return say(f"{' '.join(error.unused_tokens or [])!r} stands by itself; did you mean --task?", EXIT_USAGE)
    except CycloptsError as error:
        return say(" ".join(str(error).split()), EXIT_USAGE)
    except failures as error:
        return say(str(error), EXIT_RUN_FAILED)
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `... | head` went away; nothing is lost, what ran is on disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return int(result) if isinstance(result, int) else EXIT_OK
