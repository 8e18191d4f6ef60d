"""``lwmport``: the commands, and one line with an exit code for whatever goes wrong.

Exit codes: 0 passed, 1 a check failed, 2 usage, 3 cannot.
"""

import os
import sys
from typing import Any, NoReturn

import click

from lwmport import __version__
from lwmport.cli import interruption, room
from lwmport.cli.assemble import assemble
from lwmport.cli.bench import bench
from lwmport.cli.bisect import bisect
from lwmport.cli.bundle import bundle
from lwmport.cli.chat import chat
from lwmport.cli.check import check
from lwmport.cli.checkpoint import checkpoint
from lwmport.cli.compare import compare
from lwmport.cli.compile import compile_
from lwmport.cli.completion import completion
from lwmport.cli.convert import convert
from lwmport.cli.doctor import doctor
from lwmport.cli.eval import eval_
from lwmport.cli.generate import generate
from lwmport.cli.inspect import inspect
from lwmport.cli.listing import list_
from lwmport.cli.output import is_plain, print_json
from lwmport.cli.plan import plan
from lwmport.cli.port import port
from lwmport.cli.report import report
from lwmport.cli.validate import validate
from lwmport.cli.verify import verify
from lwmport.errors import PortError, said
from lwmport.memory import is_out_of_memory
from lwmport.wording import printable

CANNOT = 3
INTERRUPTED = 130
INTERRUPTION = interruption.INTERRUPTION
OUT_OF_MEMORY = "out of memory; close other programs or convert one component at a time"

TRACEBACK = "LWMPORT_TRACEBACK"
UNFORESEEN = f"lwmport did not foresee this: please report it, with what {TRACEBACK}=1 before the command shows"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="lwmport")
def cli() -> None:
    """Port LWM from JAX to ONNX and other runtimes, and prove that the numbers hold.

    Exit codes: 0 passed, 1 a check failed, 2 usage, 3 not judged, or cannot (one line says why).
    """
    if is_plain():
        click.get_current_context().color = False
    room.check(click.get_current_context().invoked_subcommand, sys.argv[1:])


for command in (
    port,
    convert,
    check,
    compile_,
    validate,
    bisect,
    report,
    inspect,
    compare,
    plan,
    bench,
    assemble,
    chat,
    generate,
    eval_,
    checkpoint,
    list_,
    doctor,
    bundle,
    verify,
    completion,
):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line and exit."""
    interruption.listen()
    try:
        result: Any = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        _refuse(error)
    except (click.Abort, KeyboardInterrupt) as end:
        interruption.wait()
        words = str(end) or str(end.__cause__ or "")  # click puts an error of its own before ours
        _fail(words or INTERRUPTION, INTERRUPTED)
    except PortError as error:
        interruption.wait()
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail(OUT_OF_MEMORY, CANNOT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CANNOT)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"the system refused: {where}{error.strerror or error}", CANNOT)
    except Exception as error:  # noqa: BLE001 - a traceback is nobody's answer
        interruption.wait()
        if is_out_of_memory(error):
            _fail(OUT_OF_MEMORY, CANNOT)
        _fail(*_unforeseen(error))
    interruption.wait()
    sys.exit(result if isinstance(result, int) else 0)


def _unforeseen(error: Exception) -> tuple[str, int]:
    """Return what is said of an error that is none of ours, and the exit code.

    A lock that a thread waits for turns the request to end into an error of its own.
    """
    if interruption.asked():
        return INTERRUPTION, INTERRUPTED
    if TRACEBACK in os.environ:
        raise error
    return f"{said(error)}; {UNFORESEEN}", CANNOT


def _refuse(error: click.ClickException) -> NoReturn:
    """Say what is wrong with the words of a command; of a path it is what is there, not how the command is called."""
    if type(error) is click.BadParameter and isinstance(getattr(error.param, "type", None), click.Path):
        _fail(f"expected another path, found: {error.message}", error.exit_code)
    _tell(error.format_message(), error.exit_code)
    error.show()
    sys.exit(error.exit_code)


def _fail(text: str, code: int) -> NoReturn:
    """Print one line and exit; a machine that asked for JSON gets the same facts."""
    line = printable(" ".join(text.split()))
    _tell(line, code)
    click.echo(f"error: {line}", err=True)
    sys.exit(code)


def _tell(line: str, code: int) -> None:
    """Print an error as a document, if a machine asked for one."""
    if "--json" in sys.argv:
        print_json({"status": "error", "error": line, "exit_code": code})
