#!/usr/bin/env bash
# Makes .venv: ROS from wheels, the Python dependencies, the messages and this package in editable mode.
#
#     tools/setup.sh [EXTRA ...]
#
# PYTHON chooses the interpreter; without it an existing .venv is kept. What is done already is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# install_system PACKAGE...: with apt-get if that needs no password; false if the packages are not there afterwards.
install_system() {
  local as_root=()
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  say "installing $*"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  # A fresh container has no package lists, a long-lived one has old ones: refresh only where that is needed.
  "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { "${apt[@]}" update >/dev/null && "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null; }
}

# Prints the packages that are not installed.
missing() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

# --- the interpreter ---------------------------------------------------------------------------------------------------
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
current=$(version_of .venv/bin/python) || current=
if [ -z "${PYTHON:-}" ]; then
  PYTHON=${current:+.venv/bin/python}
  PYTHON=${PYTHON:-python3}
fi
version=$(version_of "$PYTHON") ||
  fail "'$PYTHON' does not run: install Python 3.10 to 3.13 or name one, as in 'make setup PYTHON=python3.12'."
case $version in
  3.10 | 3.11 | 3.12 | 3.13) ;;
  *) fail "'$PYTHON' is Python $version, but ROS wheels exist for 3.10 to 3.13: name one, as in 'make setup PYTHON=python3.12'." ;;
esac

# --- is there anything to do? ------------------------------------------------------------------------------------------
# .venv/.done has one line for each set of extras that is installed, and one for the build.
key() {
  { echo "$version $*"; cat pyproject.toml requirements*.txt; } | sha256sum | cut -d ' ' -f 1
}
robot="packages $(key)"
packages="packages $(key "$@")"
build="build $({
  key "$PWD"
  find setup.py package.xml CMakeLists.txt cmake msg srv compat -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
} | sha256sum | cut -d ' ' -f 1)"
done_before() { [ "$current" = "$version" ] && grep -qsxF "$1" .venv/.done; }

# ROS looks for launch files and parameters below share/, where pip puts copies: links in their place let edits take
# effect. File by file, as colcon's --symlink-install does, so that pip removes a link and not what it points to.
link_data() {
  local share=.venv/share/audio_interaction_ros file
  while read -r file; do
    [ "$share/$file" -ef "$file" ] || { mkdir -p "$share/${file%/*}" && ln -sf "$PWD/$file" "$share/$file"; }
  done < <(find launch config checkpoints demo examples -name __pycache__ -prune -o -type f -print)
  find "$share" -xtype l -delete  # of a file that is there no more
}
if done_before "$packages" && done_before "$build"; then link_data; exit 0; fi

# --- system packages ---------------------------------------------------------------------------------------------------
needed=()
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || needed+=("python$version-venv")
"$PYTHON" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
  needed+=("python$version-dev")
command -v "${CXX:-c++}" >/dev/null || needed+=(g++)
if [ ${#needed[@]} -gt 0 ]; then
  install_system "${needed[@]}" || fail "this needs ${needed[*]}: install with 'sudo apt-get install ${needed[*]}'."
fi
# For the microphone, for spoken demos and for the tests that play through a sound server: not worth stopping for.
mapfile -t sound < <(missing libportaudio2 espeak-ng pulseaudio pulseaudio-utils libasound2-plugins)
if [ ${#sound[@]} -gt 0 ]; then
  install_system "${sound[@]}" ||
    say "going on without sound devices and voices: for those, 'sudo apt-get install ${sound[*]}' or your system's equivalent."
fi

# --- the environment ---------------------------------------------------------------------------------------------------
if [ "$current" != "$version" ]; then
  say "making .venv with Python $version"
  "$PYTHON" -m venv --clear .venv
  current=$version
fi
touch .venv/.done
pip=(.venv/bin/python -m pip --quiet --disable-pip-version-check install)
if ! done_before "$packages"; then
  say "installing Python packages: some minutes the first time, more on a slow line or a busy machine"
  say "Ctrl-C does no harm: run the same command again to go on where it stopped"
  # Other requirements than before: what the other extras need is not sure to be there any more.
  done_before "$robot" || sed -i '/^packages /d' .venv/.done
  requirements=$(.venv/bin/python tools/requirements.py "$@")
  # Not byte-compiled: most of those files are never imported.
  "${pip[@]}" --no-compile --requirement /dev/stdin <<<"$requirements"
  printf '%s\n' "$robot" "$packages" >>.venv/.done
fi
if ! done_before "$build"; then
  say "building the ROS messages: a minute or some, without a word meanwhile"
  "${pip[@]}" --no-deps --no-build-isolation --editable .
  sed -i '/^build /d' .venv/.done
  echo "$build" >>.venv/.done
fi
link_data
