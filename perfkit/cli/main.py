"""`perfkit`: the commands in the order a user meets them, and what happens to errors."""

from __future__ import annotations

import sys

import typer

from perfkit.errors import EXIT_BUG, EXIT_INTERRUPTED, PerfkitError

app = typer.Typer(
    name="perfkit",
    help="Why a PyTorch training is slow, what would make it faster, by how much, and how sure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from perfkit import __version__

        typer.echo(f"perfkit {__version__}")
        raise typer.Exit


@app.callback()
def _perfkit(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    pass


def _register() -> None:
    from perfkit.cli.bench import bench
    from perfkit.cli.compare import compare
    from perfkit.cli.diagnose import diagnose
    from perfkit.cli.report import report
    from perfkit.cli.run import CONTEXT, run

    app.command()(bench)
    app.command(context_settings=CONTEXT)(diagnose)
    app.command(context_settings=CONTEXT)(run)
    app.command()(report)
    app.command()(compare)


_register()


def main() -> None:
    """Run the command line; errors become a message, a hint and an exit code."""
    try:
        code = app(standalone_mode=False)
    except PerfkitError as error:
        complain(error)
        code = error.exit_code
    except typer.Exit as leave:
        code = leave.exit_code
    except typer.Abort:
        code = EXIT_INTERRUPTED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = EXIT_INTERRUPTED
    except Exception as error:
        code = _usage_or_bug(error)
    sys.exit(code if isinstance(code, int) else 0)


def complain(error: PerfkitError) -> None:
    """Print an error the way every error is printed: message, then hint, on stderr."""
    sys.stderr.write(f"error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")


def _usage_or_bug(error: Exception) -> int:
    # typer's usage errors (an unknown flag, a value of the wrong type) know their own text and code
    show, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(code, int):
        text, context = show(), getattr(error, "ctx", None)
        if not text:
            # no command at all: typer has shown the help
            return code
        sys.stderr.write(f"error: {text}\n")
        command = "perfkit" if context is None else context.command_path
        sys.stderr.write(f"hint: {command} --help lists what there is\n")
        return code
    import traceback

    traceback.print_exc()
    sys.stderr.write("error: this is a bug of perfkit: please report it with the lines above\n")
    return EXIT_BUG
