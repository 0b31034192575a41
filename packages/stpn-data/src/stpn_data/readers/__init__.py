"""Readers: each turns one layout on disk into a `VideoIndex`. They copy nothing and decode
nothing."""
