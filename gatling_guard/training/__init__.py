"""Training: datasets, generators, losses and the trainers of the shipped weights.

Nothing here is imported by the guard at run time.
"""
