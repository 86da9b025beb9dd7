"""Installs the services into a virtual environment of a cache folder, once; says on standard output where.

    install.py CACHE        with any Python 3.11 or newer that has venv

The folder's name holds the hash of requirements.txt and the Python version. Concurrent calls wait for one another;
an interrupted one leaves no complete marker and is done again from the start. uv does it in a quarter of the time
that pip takes, so uv is fetched for the purpose; where that fails, pip does it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv

UV = "uv==0.13.9"
HERE = os.path.dirname(os.path.abspath(__file__))


def say(text):
    print("testbed: " + text, file=sys.stderr, flush=True)


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read()


def run(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **more).returncode


def uv_environment(python):
    """pip's own settings are what the machine has: uv reads none of them by itself."""
    listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            # the environment's own lines come last in pip's list and win there too
            found[key.rpartition(".")[2]] = value.strip("'\"")
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS",
             "trusted-host": "UV_INSECURE_HOST", "cert": "SSL_CERT_FILE"}
    # pip writes a list over several lines, escaped
    taken = {name: found[key].replace("\\n", " ").strip() for key, name in names.items() if key in found}
    return {**taken, **os.environ}


def install(folder):
    environment, tool = os.path.join(folder, "venv"), os.path.join(folder, "uv")
    requirements = os.path.join(HERE, "requirements.txt")
    python = os.path.join(environment, "bin", "python")
    venv.create(tool, with_pip=True, symlinks=True)
    pip = [os.path.join(tool, "bin", "python"), "-m", "pip"]
    uv = os.path.join(tool, "bin", "uv")
    done = run([*pip, "install", "-q", "--disable-pip-version-check", UV]) == 0
    if done:
        env = uv_environment(pip[0])
        done = run([uv, "venv", "-q", "--python", sys.executable, environment], env=env) == 0 and run(
            [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, "-r", requirements], env=env) == 0
    if not done:
        say("uv could not do it, pip does")
        shutil.rmtree(environment, ignore_errors=True)
        venv.create(environment, with_pip=True, symlinks=True)
        if run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements]) != 0:
            sys.exit("testbed: pip could not install requirements.txt")
    shutil.rmtree(tool)


def once(folder, what, work):
    """Does the work in the folder unless it was done there before, whole."""
    marker = os.path.join(folder, "complete")
    if os.path.exists(marker):
        return
    say(what)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    begin = time.monotonic()
    work(folder)
    with open(marker + ".new", "w") as f:
        f.write("%.1f s\n" % (time.monotonic() - begin))
    os.rename(marker + ".new", marker)
    say("done in %.1f s" % (time.monotonic() - begin))


def main():
    cache = os.path.abspath(sys.argv[1])
    os.makedirs(cache, exist_ok=True)
    version = "%d.%d" % sys.version_info[:2]
    key = digest(read("requirements.txt"), sys.version, sys.platform, os.uname().machine)
    programs = os.path.join(cache, key)
    databases = os.path.join(cache, digest(key, read("templates.py")) + "-databases")
    python = os.path.join(programs, "venv", "bin", "python")

    def template(folder):
        # -W: Eventlet's own notice of its retirement
        if run([python, "-B", "-W", "ignore", os.path.join(HERE, "templates.py"), folder]) != 0:
            sys.exit("testbed: the databases could not be made")

    # the kernel gives the lock back however this program ends
    with open(os.path.join(cache, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        once(programs, "installing Glance, Keystone and Swift for Python %s into %s" % (version, programs), install)
        once(databases, "making their databases", template)
    print(os.path.join(programs, "venv"))
    print(databases)


main()
