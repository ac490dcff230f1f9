"""What `init: true` puts before a command: passes signals on, and buries what others leave behind."""

import os
import signal
import sys


def main() -> None:
    """Become the parent of the command."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.execvp(sys.argv[1], sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            # As a container ends: with it ends all that is in it.
            sys.exit(code if code >= 0 else 128 - code)


main()
