"""The manifest in git that decides what serves: a byte-exact edit, and the commit that carries it."""
