"""Embedded encoders: policies and plans as vectors, one new node per call."""
