"""Runs one service and outlives whoever started it by just long enough to clean up.

    watch.py '{"command": [...], "log": FILE, "remove": DIRECTORY or null, "fileLimit": bytes or null}'

The starter holds the other end of standard input. When that closes, because the starter asked for it, ended or was
killed, the service's whole process group is ended and its directory is removed. When the service ends by itself,
so does this program, with its exit code.
"""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


def be_ordinary():
    """As root no directory is read-only: without these two capabilities it is as for any user."""
    if os.getuid() == 0 and sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def signal_group(group, number):
    try:
        os.killpg(group, number)
        return True
    except ProcessLookupError:
        return False


def main():
    options = json.loads(sys.argv[1])
    # only the end of standard input ends this program; ^C and a hang-up are the starter's to answer
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    be_ordinary()
    if options["fileLimit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["fileLimit"],) * 2)
    with open(options["log"], "ab") as log:
        child = subprocess.Popen(
            options["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            restore_signals=False, preexec_fn=restore,
        )
    ended = threading.Event()
    asked = threading.Event()

    def wait_for_child():
        child.wait()
        ended.set()

    def wait_for_starter():
        while os.read(0, 4096):
            pass
        asked.set()
        ended.set()

    for target in (wait_for_child, wait_for_starter):
        threading.Thread(target=target, daemon=True).start()
    ended.wait()
    if asked.is_set():
        # uWSGI with die-on-term answers SIGTERM and SIGINT alike: at once, without waiting for open requests
        signal_group(child.pid, signal.SIGINT)
        limit = time.monotonic() + 3
        while time.monotonic() < limit and child.poll() is None:
            time.sleep(0.01)
    signal_group(child.pid, signal.SIGKILL)
    code = child.wait()
    if asked.is_set() and options["remove"] is not None:
        shutil.rmtree(options["remove"], ignore_errors=True)
    os._exit(0 if asked.is_set() else code if code >= 0 else 128 - code)


def restore():
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


main()
