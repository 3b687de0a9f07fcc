#!/bin/sh
# What a workbench of OpenShift AI starts: JupyterLab, with the notebooks, and the pages that they name, in the home
# directory.
# The environment may hold NOTEBOOK_ARGS: arguments for Jupyter, as the dashboard writes them. They go before
# jupyter_server_config.py, where NB_PREFIX is read.
set -eu

# The workbench's volume lies over the home directory, so that nothing of the image is seen there. The notebooks are put
# there once, all or none; what a person changes or deletes in the directory stays changed or deleted.
ours=$HOME/modelcar
if [ ! -e "$ours" ]; then
  part=$(mktemp -d "$HOME/.notebooks-XXXXXX")
  cp -r /opt/modelcar/notebooks /opt/modelcar/docs "$part"
  chmod -R a+rX,g=u "$part"
  # A second workbench on the same volume may have been faster.
  mv -T "$part" "$ours" 2>/dev/null || rm -rf "$part"
fi

set -f # arguments are split at blanks and line ends, and never looked up as names of files
# shellcheck disable=SC2086
exec jupyter lab ${NOTEBOOK_ARGS:-}
