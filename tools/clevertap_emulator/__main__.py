"""`python -m clevertap_emulator --account ID:PASSCODE`: serves until interrupted or terminated."""

import signal

import click

from clevertap_emulator.server import Emulator


def _account(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    accounts: dict[str, str] = {}
    for text in given:
        account, _, passcode = text.partition(":")
        if not account or not passcode:
            raise click.BadParameter(f"{text!r} must be ID:PASSCODE")
        accounts[account] = passcode
    return accounts


@click.command()
@click.option(
    "--account",
    "accounts",
    multiple=True,
    required=True,
    callback=_account,
    metavar="ID:PASSCODE",
    help="May be repeated.",
)
@click.option("--port", default=0, help="0, the default, lets the system choose.")
def main(accounts: dict[str, str], port: int) -> None:
    """An emulated CleverTap on 127.0.0.1."""
    # Blocked before any thread starts, so that the signals wait for sigwait below.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with Emulator(accounts, port=port) as clevertap:
        print(f"listening on {clevertap.url}", flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main(prog_name="python -m clevertap_emulator")
