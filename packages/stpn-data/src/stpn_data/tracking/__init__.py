"""Clips to train a tracker: templates, a search crop and support crops of one target."""
