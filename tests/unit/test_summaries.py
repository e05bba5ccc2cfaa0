"""Summaries of tables of a few rows, by hand."""
