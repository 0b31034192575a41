"""STPN data."""
