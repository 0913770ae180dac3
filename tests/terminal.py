"""Runs a command at a terminal of its own, and types.

    terminal.py '[["what is waited for", "what is then typed"], ...]' COMMAND...

Prints all that the terminal showed; the exit code is the command's.
"""
import json
import os
import pty
import signal
import sys

steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)

# A command that waits for something else is ended; what it showed tells.
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(60)
shown, seen = "", 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:  # Linux's end of file at a terminal
        break
    if not piece:
        break
    shown += piece.decode("utf-8", "replace")
    if steps and steps[0][0] in shown[seen:]:
        seen = len(shown)
        os.write(terminal, steps.pop(0)[1].encode())
print(shown, end="")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
