"""Does prompting help? Arms from one start, on videos where a single frame often cannot tell.

`python -m study` trains what is not there yet and writes docs/study; `nox -s study` does so in an
environment of its own.
"""
