"""`python -m clevertap_emulator --account ID:PASSCODE`: serves until interrupted or terminated."""

import argparse
import signal

from clevertap_emulator.server import Emulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="clevertap_emulator", description="An emulated CleverTap on 127.0.0.1.")
    parser.add_argument(
        "--account", action="append", required=True, type=_account, metavar="ID:PASSCODE", help="may be repeated"
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, lets the system choose")
    arguments = parser.parse_args()
    # Blocked before any thread starts, so that the signals wait for sigwait below.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with Emulator(dict(arguments.account), port=arguments.port) as clevertap:
        print(f"listening on {clevertap.url}", flush=True)
        signal.sigwait(signals)


def _account(text: str) -> tuple[str, str]:
    account, _, passcode = text.partition(":")
    if not account or not passcode:
        raise argparse.ArgumentTypeError("must be ID:PASSCODE")
    return account, passcode


if __name__ == "__main__":
    main()
