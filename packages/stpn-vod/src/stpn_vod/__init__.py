"""STPN vod."""
