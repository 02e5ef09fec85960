#!/usr/bin/env bash
# Installs this checkout, editable, into a virtual environment, and touches a stamp when all is there.
#
#   scripts/install.sh VENV PYTHON EXTRAS STAMP      (EXTRAS: "" or "dev,langchain,bench")
#
# Safe to run again after an interruption: the stamp is touched last, `venv` and `pip install`
# both go on from whatever they find.
set -euo pipefail
venv=$1 python=$2 extras=$3 stamp=$4

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

if [[ -z $python ]] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "gatling_guard needs Python 3.11 or newer, and '${python:-python3}' is not one." >&2
    echo "Name another: make PYTHON=/path/to/python3.12 TARGET" >&2
    exit 1
fi

clear=""
if [[ -e $venv/bin/python && $(version "$venv/bin/python") != "$(version "$python")" ]]; then
    echo "$venv is of another Python; making it again with $python"
    clear=--clear
fi
# shellcheck disable=SC2086  # empty means no argument
if ! "$python" -m venv $clear "$venv"; then
    echo "'$python -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi

echo "Installing gatling_guard${extras:+[$extras]} into $venv (once) ..."
# -qq: pip lists every missing local index as a warning; errors are still printed.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check \
    -c constraints.txt -e ".${extras:+[$extras]}"
touch "$stamp"
