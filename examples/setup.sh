# Sourced by the other scripts: `setup EXTRA` installs mottool into a virtual environment.
#
# The environment is .venv in this project, or $MOTTOOL_VENV; it is rebuilt only when the project's
# dependencies have changed. With $MOTTOOL_PYTHON, an interpreter that already has mottool, nothing
# is installed. Afterwards $python is the interpreter to use. A script in a deeper folder than this
# one sets $project, the folder of the project, beforehand.

project=${project:-$(cd "$(dirname "$0")/.." && pwd)}

setup() {
    if [ -n "${MOTTOOL_PYTHON:-}" ]; then
        python=$MOTTOOL_PYTHON
        return
    fi
    venv=${MOTTOOL_VENV:-$project/.venv}
    python=$venv/bin/python
    dependencies=$(cat "$project/pyproject.toml" "$project/setup.cfg" | cksum)
    if [ "$(cat "$venv/mottool$1" 2>/dev/null)" = "$dependencies" ]; then
        return
    fi
    for base in python3.13 python3.12 python3.11 python3 ""; do
        if [ -z "$base" ]; then
            echo "mottool needs Python 3.11, 3.12 or 3.13. Fix: apt install python3" >&2
            exit 1
        fi
        "$base" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null &&
            break
    done
    if ! "$base" -c 'import ensurepip' 2>/dev/null; then
        echo "$base cannot create virtual environments. Fix: apt install python3-venv" >&2
        exit 1
    fi
    echo "Installing mottool into $venv (a few minutes the first time)"
    "$base" -m venv "$venv"
    if ! { "$python" -m pip install --upgrade pip &&
        "$python" -m pip install --editable "$project$1"; } >"$venv/install.log" 2>&1; then
        tail -n 20 "$venv/install.log" >&2
        echo "The installation failed. Fix: read $venv/install.log, then run this script again" >&2
        exit 1
    fi
    echo "$dependencies" >"$venv/mottool$1"
}
