#!/bin/sh
# What a workbench of OpenShift AI starts: JupyterLab on port 8888, below the path that the workbench has.
#
# NB_PREFIX       that path, /notebook/<namespace>/<name>; the probes ask for ${NB_PREFIX}/api
# NOTEBOOK_ARGS   more arguments, as the dashboard writes them; they go before what stands here
#
# Without NOTEBOOK_ARGS the token stays that Jupyter makes and prints: whoever has no proxy before it has a password.
set -eu

# The workbench's volume lies over the home directory, so that nothing of the image is seen there. The notebooks are put
# there once, all or none; what a person changes or deletes in the directory stays changed or deleted.
notebooks=$HOME/modelcar-notebooks
if [ ! -e "$notebooks" ]; then
  part=$(mktemp -d "$HOME/.notebooks-XXXXXX")
  cp /opt/modelcar/notebooks/* "$part"
  chmod u+rwx,g+rwx,o-w "$part"
  # A second workbench on the same volume may have been faster.
  mv -T "$part" "$notebooks" 2>/dev/null || rm -rf "$part"
fi

set -f # arguments are split at blanks and line ends, and never looked up as names of files
# shellcheck disable=SC2086
exec jupyter lab --ServerApp.ip='*' --ServerApp.port=8888 --ServerApp.port_retries=0 --ServerApp.open_browser=False \
  --ServerApp.root_dir="$HOME" --ServerApp.base_url="${NB_PREFIX:-/}" ${NOTEBOOK_ARGS:-}
