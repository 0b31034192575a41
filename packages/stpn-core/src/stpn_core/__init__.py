"""STPN core."""
