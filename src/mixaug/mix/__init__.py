"""A mix is a value: which rows each output is made of, how much of each, and where."""

from .compose import assemble, by_row, in_form_of, joined, widened
from .value import Mix

__all__ = ["Mix", "assemble", "by_row", "in_form_of", "joined", "widened"]
