"""The sandbox: every outside service on loopback, for trying and testing."""
