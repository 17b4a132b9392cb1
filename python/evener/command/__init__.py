"""The ``evener`` command: what is behind a target, live if wished; a server's registration; what to know before production.

It needs no grpcio. Every subcommand has ``--json``. Exit status: 0, all is well; 1, nothing is there, it cannot be reached,
problems were found, or the answer cannot be written; 2, it was called wrongly; 130, Ctrl-C came before it was done.

>>> from evener.command import main
>>> main(["resolve", "static:///10.0.0.1:8080;weight=3,10.0.0.2:8080"])
ENDPOINT       STATE  WEIGHT  ZONE  PRIORITY
10.0.0.1:8080  ready  3       -     0
10.0.0.2:8080  ready  1       -     0
2 endpoints
0
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence

from evener import ConfigError, __version__
from evener.command import _lint, _output, _register, _resolve, _watch
from evener.command._options import UsageError

__all__ = ["main"]

_STATUS = """exit status:
  0  all is well
  1  nothing is there, it cannot be reached, problems were found, or the
     answer cannot be written
  2  it was called wrongly
  130  Ctrl-C came before it was done; watch and register end that way
       with 0 or 1
"""
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments (those of the process where None); its exit status.

    >>> from evener.command import main
    >>> main(["lint", "dns:///user-service.example.com:8080"])
    Nothing to say about it.
    0
    """
    try:
        return _run(_parsed(arguments))
    except BrokenPipeError:  # nobody reads any more
        _output.discard()
        return 1
    except OSError as error:  # whoever reads a file says what is wrong with it
        _output.discard()
        print(f"evener: the standard output cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return _parser().parse_args(arguments)
    except SystemExit:
        # Help that nobody gets is an error of its own.
        _output.flush()
        raise


def _run(options: argparse.Namespace) -> int:
    try:
        if _output.is_closed() and not options.needs_no_output:
            raise UsageError("the standard output is closed, and what is found is printed there")
        status: int = options.run(options)
        _output.flush()
        return status
    except (ConfigError, UsageError) as error:
        why = str(error)
    except UnicodeEncodeError as error:
        why = f"{ascii(error.object)}: {_unsayable(error)}"
    print(f"evener: {why}\nevener {options.command} --help says what can be given.", file=sys.stderr)
    return 2


def _unsayable(error: UnicodeEncodeError) -> str:
    # An argument that is not UTF-8 comes with characters that no encoding has.
    return "is no UTF-8 text" if error.encoding == "utf-8" else f"the standard output cannot show it: its encoding is {error.encoding}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evener",
        description="What is behind a target, who registers there, and what to know before production.",
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"evener {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (_resolve, _watch, _register, _lint):
        command = module.add(commands)
        command.epilog = f"{command.epilog}\n\n{_STATUS}" if command.epilog else _STATUS
        command.description = textwrap.fill(command.description or "", 79)
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.set_defaults(run=module.run, needs_no_output=module is _register)
    return parser
