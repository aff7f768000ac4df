"""Orchord's public names. Users import from here and from nowhere else."""
