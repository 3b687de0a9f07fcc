"""A model in a directory, downloaded file by file: `modelcar.workspace.download` is the way in."""
