"""Reads data sets to evaluate on: one file a data set, or a folder of anyone's."""
