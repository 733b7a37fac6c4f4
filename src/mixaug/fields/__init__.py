"""The fields of a batch: what each is, and how a mix is applied to it."""

from .guide import Guide
from .kinds import AllFields, Images, Keep, Labels, Masks, Mixer, PerSource, Values, find
from .objects import Boxes, Keypoints
from .readings import is_list, quoted
from .resolve import KINDS, Field, Fields, Further, arrays, resolve, settle
from .saved import read, written

__all__ = [
    "KINDS",
    "AllFields",
    "Boxes",
    "Field",
    "Fields",
    "Further",
    "Guide",
    "Images",
    "Keep",
    "Keypoints",
    "Labels",
    "Masks",
    "Mixer",
    "PerSource",
    "Values",
    "arrays",
    "find",
    "is_list",
    "quoted",
    "read",
    "resolve",
    "settle",
    "written",
]
