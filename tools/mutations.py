"""Mutations that `make test` must detect. Each replaces a text that occurs once in its file."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """A mutation of one file.

    Args:
        file: below src/mixaug.
        old: the text that is replaced; it occurs once in the file.
        new: the text that replaces it.
        why: the bug that it introduces.
        tests: the files in tests/ that run first.
    """

    file: str
    old: str
    new: str
    why: str
    tests: str


_KERNELS = "kernels/test_engines.py recipes/test_tiles.py"

#: The files, the tests that run first, and (old, new, why).
_TABLE: dict[tuple[str, str], list[tuple[str, str, str]]] = {
    ("core/maps.py", "recipes/test_guided.py fields/test_guide_fields.py"): [
        (
            "xp.highest(xp.where(levels == TOP, left, left * 0))",
            "xp.highest(xp.where(levels >= TOP - 3, left, left * 0))",
            "the most salient pixel may be one that is nearly as salient",
        ),
        ('(x >= 0) & (x < float("inf"))', "(x >= 0)", "infinite saliency is taken"),
        ("valid & (x >= _LEAST)", "valid", "denormal saliency counts in one library and not in the next"),
    ],
    ("kernels/draw.py", "recipes/test_guided.py fields/test_guide_fields.py"): [
        ("held != np.int32(-(2**31))", "held != np.int32(0)", "saliency of -0.0 is refused"),
        ("highest >= np.int32(0x7F800000)", "highest > np.int32(0x7F800000)", "kernels take infinite saliency"),
        (
            "if found < 0 and _level(x[row, pixel]",
            "if _level(x[row, pixel]",
            "kernels find the last of the most salient pixels",
        ),
    ],
    ("recipes/guided.py", "recipes/test_guided.py fields/test_guide_fields.py"): [
        ("xp.argsort(xp.argsort(-sums))", "xp.argsort(xp.argsort(sums))", "the least salient cells are pasted"),
        (
            'xp.summed(xp.cast(there, "int32")) // 2',
            'xp.summed(xp.cast(there, "int32"))',
            "ClassMix pastes all classes",
        ),
        ("there = there & (number != self.ignore_index)", "there = there", "ClassMix pastes ignored pixels"),
        ("return x & inside(xp, box, draw.size)", "return x", "resized objects are pasted outside of their box"),
    ],
    ("fields/needs.py", "fields/test_guide_fields.py"): [
        (
            "named = declared or [name",
            "named = [name",
            "a declared guide gives way to masks that are not",
        ),
    ],
    ("hidden.py", "adapters/test_hidden.py"): [
        ("keys.fold_in(made, _FOLD)", "made", "the layer depends on the words of the mix"),
        (
            "self.layer != layer:",
            "self.layer < layer:",
            "layers after the one that was drawn are mixed too",
        ),
    ],
    ("ops/mass.py", "ops/test_label_rules_by_maps.py"): [
        ("inside(xp, source_box, sizes.source)", "inside(xp, box, sizes.source)", "mass is that under the box"),
    ],
    ("label_rules.py", "ops/test_label_rules_by_maps.py"): [
        ("(lam[1] < self.tau)", "(lam[0] < self.tau)", "Remix looks at the weight of the other source"),
    ],
    ("guides.py", "recipes/test_guide_makers.py"): [
        (
            "xp.log1p(real * real + imaginary * imaginary) * 0.5",
            "xp.log1p(real * real + imaginary * imaginary)",
            "the spectrum is whitened twice",
        ),
        ("head[:, 0, prefix:]", "head[:, 1, prefix:]", "attention is that of the first patch"),
    ],
    ("core/keys.py", "recipes/test_golden.py core/test_keys.py recipes/test_schedule.py"): [
        (
            "xp.add(xp.add(x1, ks[(group + 2) % 3]), group + 1)",
            "xp.add(xp.add(x1, ks[(group + 2) % 3]), group)",
            "Threefry counts its key injections from 0",
        ),
        ("(17, 29, 16, 24)", "(17, 29, 16, 23)", "a rotation of Threefry is off by one"),
        (
            "bits = operator.index(value) % 2**64",
            "bits = operator.index(value) % 2**32",
            "seeds that are NumPy's integers or tensors lose their high bits",
        ),
        ("for number in key[1:]:", "for number in key[1:3]:", "a fourth number of a key, the rank, is ignored"),
        (
            "return Key(*fold(*bits), key.epoch)",
            "return Key(*fold(*bits))",
            "a key forgets its epoch when a number is folded in",
        ),
        (
            "epoch=key[1] if len(key) > 2 else None",
            "epoch=key[1] if len(key) > 1 else None",
            "the step of (seed, step) is taken for the epoch",
        ),
        (
            "threefry(xp, key, (rows, xp.uint32(_MASK)))[0]",
            "threefry(xp, key, (rows, xp.uint32(0)))[0]",
            "partners and boxes are drawn from the same bits",
        ),
        (
            "return xp.cast(xp.shift_right(word, 16)",
            "return xp.cast(xp.shift_right(word, 17)",
            "only half of a table is used",
        ),
        (
            '(xp.cast(xp.constant(count), "float32") * 2.0**-24)',
            '(xp.cast(xp.constant(count + 1), "float32") * 2.0**-24)',
            "a whole number below count may be count",
        ),
        (
            "table: np.ndarray[Any, np.dtype[np.float64]] = (np.arange(ONE) + 0.5) / ONE",
            "table: np.ndarray[Any, np.dtype[np.float64]] = np.arange(ONE) / ONE",
            "quantiles begin at 0",
        ),
    ],
    ("recipes/lam.py", "recipes/test_golden.py recipes/test_graphs.py"): [
        (
            "np.rint(ONE * quantiles).astype(whole)",
            "np.floor(ONE * quantiles).astype(whole)",
            "weights of blends are rounded down",
        ),
    ],
    ("core/regions.py", "recipes/test_golden.py recipes/test_tiles.py recipes/test_erase.py recipes/test_graphs.py"): [
        (
            "if len(pasted) > 1:  #",
            "if len(pasted) > 2:  #",
            "areas of two boxes are not rounded, so lam may sum to more than 1",
        ),
        (
            "& (position < box[:, axis, 1:])",
            "& (position <= box[:, axis, 1:])",
            "boxes are a pixel too long in the definition",
        ),
        (
            "hidden = _area(xp, holes[0]) if len(holes) == 1 else",
            "hidden = _area(xp, holes[0]) * 0 if len(holes) == 1 else",
            "lam counts the pixels of a hole",
        ),
        (
            "pixels = xp.maximum(xp.total(self.visible(xp), axes), 1.0)",
            "pass",
            "lam of masks counts the pixels of a hole",
        ),
        (
            "self.box + padding, self.source_box + padding, self.fill)",
            "self.box + padding, self.source_box + padding)",
            "widened masks lose their fill",
        ),
        (
            "if to is None and of is not None:",
            "if to is None and of is not None and j == 0:",
            "source boxes of partners are taken without boxes",
        ),
    ],
    ("core/choice.py", "recipes/test_golden.py recipes/test_tiles.py recipes/test_erase.py recipes/test_graphs.py"): [
        (
            "cropped = any(region.source_box[j] is not None for region in regions)",
            "cropped = all(region.source_box[j] is not None for region in regions)",
            "a choice among recipes forgets source boxes",
        ),
        (
            'f"source_box_{j}": box if source_box is None else source_box}',
            'f"source_box_{j}": box}',
            "joined batches forget source boxes",
        ),
        (
            "hole = _choose_holes(xp, self.choice, [region.holes for region in pastes])",
            "hole = pastes[-1].hole",
            "a choice among recipes gives every row the same holes",
        ),
    ],
    ("kernels/spans.py", _KERNELS): [
        (
            "lines = max(1, min(end - y, (s.last - last) // line + 1))",
            "lines = max(1, min(end - y + 1, (s.last - last) // line + 1))",
            "boxes are a line too high",
        ),
        (
            "if box.z0 <= slab % s.depth < box.z1:",
            "if box.z0 <= slab < box.z1:",
            "boxes are pasted into the first channel alone",
        ),
        ("(s.last - start - 1) // line + 1", "(s.last - start) // line", "the last line of a tile is left out"),
        ("(2 * (pixel - first) + 1) * whole", "2 * (pixel - first) * whole", "windows are half a pixel off"),
        ("limit = min(end, offset + plane)", "limit = end", "a run of a mask goes on into the next channel"),
        ("        who = -1\n", "        who = 0\n", "holes of masks are not filled"),
        ("alike &= word_at", "alike = word_at", "runs of a mask look at the last source alone"),
        (
            "if box.looked != s.i:",
            "if box.looked < 0:",
            "the columns of a window are those of the first output",
        ),
        (
            "if source_end - source_start != end - start or",
            "if source_end - source_start < end - start or",
            "windows that shrink are cropped",
        ),
        ("% s.filling_row\n", "% s.filling_row * 0\n", "fills that differ by pixel begin anew in every span"),
        (
            "limit = min(limit, (start // s.width + 1) * s.width)",
            "limit = min(limit, end)",
            "a run of a window goes on into the next line",
        ),
    ],
    ("kernels/tiles.py", _KERNELS): [
        (
            "move(to + y * line, start + y * line, length)",
            "move(to + y * line, start, length)",
            "all lines of a box are its first one",
        ),
        (
            "float_at(s.weight, s.i) != 1",
            "float_at(s.weight, 0) != 1",
            "all outputs are blended, or none, as the first is",
        ),
        (
            "s.last = min(s.last, (s.first // s.unit + 1) * s.unit)",
            "s.last = min(s.last, s.end)",
            "a tile that goes on into the next channel keeps its scale",
        ),
        (
            "if not 0 <= index[j, i] < s.rows:",
            "if not 0 <= index[j, i] <= s.rows:",
            "a row after the last is read",
        ),
        (
            "line[pixel] -= np.rint(weight[pixel] * _ONE)",
            "line[pixel] -= weight[pixel] * _ONE",
            "whole weights do not sum to 2^16",
        ),
        ("if head + body < count:", "if head + body + 4 < count:", "the last bytes of a large output are not stored"),
        (
            "s.free = s.tile_length * s.size_out - s.free",
            "s.free = s.free * 1",
            "a tile is made over the one that is being stored",
        ),
        (
            "if not some and who < 0:",
            "if who < 0 and (not some or s.first):",
            "holes of soft masks are filled in the first tile alone",
        ),
        (
            "start = s.own + (s.base + s.first) * s.size_in\n            if who < 0",
            "start = s.source + (s.base + s.first) * s.size_in\n            if who < 0",
            "soft masks take the base sample from the source",
        ),
        (
            "if covered < length and not blended",
            "if covered < 0 and not blended",
            "the base sample is not copied beside boxes",
        ),
    ],
    ("kernels/numbers.py", _KERNELS): [
        ("(total + 32768) >> 16", "(total + 32767) >> 16", "blends of uint8 round a half down"),
        (
            "o[r] = _narrow(_wide(x[r], computed(0)) * scale[r] + offset[r], dtype_out(0))",
            "o[r] = _narrow(_wide(x[r], computed(0)) * scale[r] + offset[u(0)], dtype_out(0))",
            "all channels have the offset of the first",
        ),
        (
            "for j in range(u(2), u(s.sources)):",
            "for j in range(u(3), u(s.sources)):",
            "a blend leaves out its third source",
        ),
        ("if spread[r] != 0:", "if spread[r] >= 0:", "the fill of a soft mask is everywhere"),
        (
            "return lambda element, total: np.float64(element)",
            "return lambda element, total: np.float32(element)",
            "float64 images are blended in float32",
        ),
        (
            "np.uint8(min(max(np.rint(total), np.float32(0)), np.float32(255)))",
            "np.uint8(max(np.rint(total), np.float32(0)))",
            "what is above 255 wraps around",
        ),
    ],
    ("kernels/machine.py", _KERNELS): [
        (
            "rounded = b.add(bits, b.add(odd, whole(0x7FFF)))",
            "rounded = b.add(bits, whole(0x8000))",
            "bfloat16 rounds a half up",
        ),
        (
            "_move_few(builder, write, read, count, _VECTOR // 2)",
            "_move_few(builder, write, read, count, _VECTOR // 4)",
            "runs of 17 to 31 bytes are copied in part",
        ),
        ("b.select(nan, quiet, rounded)", "rounded", "NaN may become a number in bfloat16"),
        ("word(group + 1))", "word(min(group, 3) + 1))", "the last key injection counts 4"),
    ],
    ("kernels/classes.py", "kernels/test_engines.py ops/test_label_rules.py"): [
        (
            "if not 0 <= label < out.shape[1]:",
            "if not -1 <= label < out.shape[1]:",
            "the class -1 is counted for the last one",
        ),
        ("out[i, label] += lam[j, i]", "out[i, label] = lam[j, i]", "sources of the same class are not added"),
        ("own[i] if j == 0 else source[row]", "source[row]", "the base sample's label is looked up in the source"),
    ],
    ("kernels/draw.py", "recipes/test_golden.py batch/test_epoch.py recipes/test_tiles.py"): [
        ("start -= side // 2", "start -= (side + 1) // 2", "odd boxes lie a pixel off"),
        (
            "if box.shape[0] > 1:\n                part",
            "if box.shape[0] > 2:\n                part",
            "areas of two boxes are not rounded",
        ),
        ("if not lam[j, i] > 0:", "if not lam[j, i] >= 0:", "sources that no pixel is of are named"),
        (
            "for j in range(first + 1, k):",
            "for j in range(first + 1, k - 1):",
            "a last source that is another one again is counted twice",
        ),
        (
            "mask[i, pixel] = _above(values[i, pixel]) < limit",
            "mask[i, pixel] = _above(values[i, pixel]) <= limit",
            "masks have a pixel too many",
        ),
        ("if rows[left[m]] >= n:", "if rows[left[m]] > n:", "an epoch has a row after the last"),
        (
            "turned[m] = to - side if to >= side else to",
            "turned[m] = to - side if to > side else to",
            "an epoch's order is no permutation",
        ),
        (
            "part = np.floor(part * _STEPS) * (_ONE / _STEPS)",
            "part = part * _ONE",
            "areas of several boxes are not rounded",
        ),
        (
            "np.int32(ranks[half, place] & np.uint64(0xFFFFFFFF))",
            "np.int32(ranks[half, place] & np.uint64(0xFF))",
            "rows after the 256th have no partners of their own",
        ),
    ],
    ("ops/objects.py", "ops/test_objects.py"): [
        (
            "weight >= (min_visibility - SLACK) * peak",
            "weight >= min_visibility - SLACK",
            "boxes of a light source always go",
        ),
        (
            "return -1 if signed and len(x.shape) == 2 else 0",
            "return -1 if signed else 0",
            "empty slots of other labels hold -1",
        ),
        (
            "order = xp.reshape(xp.argsort(-xp.rint(weight * float(ONE)))",
            "order = xp.reshape(xp.argsort(xp.rint(weight * float(ONE)))",
            "of too many boxes the lightest stay",
        ),
    ],
    ("ops/boxes.py", "ops/test_objects.py"): [
        (
            "last = [xp.minimum(xp.maximum(edge, 0.0), length) for",
            "last = [xp.maximum(edge, 0.0) for",
            "what lies beyond the image counts as hidden",
        ),
        ("start = [center - side * 0.5 for", "start = [center - side for", "boxes of center and sides are moved"),
    ],
    ("ops/keypoints.py", "ops/test_objects.py"): [
        (
            "(v >= 0) & (v < length)",
            "(v >= 0) & (v <= length)",
            "points on the far edge are taken for points of the image",
        ),
    ],
    ("ops/instances.py", "ops/test_objects.py"): [
        (
            'is_object = is_object if valid is None else is_object & xp.cast(valid, "bool")',
            "is_object = is_object",
            "masks of padding are taken for objects",
        ),
        (
            "mean = sums / xp.maximum(xp.total(shown, axes), 1.0) * view.part_shown(x)",
            "mean = sums / xp.maximum(xp.total(shown, axes), 1.0)",
            "masks cut off by a window weigh as much as whole ones",
        ),
    ],
    ("ops/views.py", "ops/test_objects.py ops/test_visible_layouts.py"): [
        (
            "scale = (last - first) / self.xp.maximum(stop - start, 1.0)",
            "scale = (stop - start) / self.xp.maximum(last - first, 1.0)",
            "boxes shrink where the image grows",
        ),
        ("(v >= a) & (v < b) for v, (a, b)", "(v >= a) & (v <= b) for v, (a, b)", "points beside a window are in it"),
        ('xp.full((), -1 - j, "int32")', 'xp.full((), -1, "int32")', "two windows count as one source"),
        (
            "(covered < across[..., None] * (1 - SLACK))",
            "(covered < across[..., None] * (1 + SLACK))",
            "boxes reach behind what hides them",
        ),
        (
            "~self.own, _across(overlaps, axis)), _across(sides, axis)",
            "self.own, _across(overlaps, axis)), _across(sides, axis)",
            "boxes are hidden by what shows them",
        ),
    ],
    ("ops/masks.py", "ops/test_class_masks.py"): [
        (
            "xp.where(weight > best, value, out)",
            "xp.where(weight >= best, value, out)",
            "of equal weights the last one is chosen",
        ),
        (
            "without_holes = replace(fitted, hole=None, fill=None) if isinstance(fitted, Paste) else fitted",
            "without_holes = fitted",
            "holes are filled with a class",
        ),
        (
            "        weights = [weight / total for weight in weights]\n",
            "",
            "soft masks beside ignored pixels do not sum to 1",
        ),
    ],
    ("ops/rows.py", "ops/test_apply.py kernels/test_engines.py"): [
        ("int(values.max()) >= available", "int(values.max()) > available", "a source of one row too few is taken"),
        (
            "equal = over(index[i] == index[j], merged[j])",
            "equal = over(index[0] == index[j], merged[j])",
            "weights of equal partners are added to a wrong source",
        ),
    ],
    ("ops/images.py", "recipes/test_erase.py kernels/test_engines.py"): [
        (
            "weights = [ONE - sum(integers[1:], integers[0]), *integers] if integers",
            'weights = [xp.cast(xp.rint(weights[0] * float(ONE)), "int32"), *integers] if integers',
            "whole weights of the library do not sum to 2^16",
        ),
        (
            "out = xp.where(per_channel(~covered(xp, holes, spatial), place), out, fill)",
            "out = out",
            "holes are not filled by the library",
        ),
        (
            "return one is not None and other is not None and one[0] < other[1] and other[0] < one[1]",
            "return one is not None and one == other",
            "outputs may be written over a part of the images",
        ),
    ],
    ("core/layout.py", "core/test_layout.py core/test_layout_doubt.py"): [
        (
            "return xp.transpose(y, [self.order.index(axis) for axis in range(len(shape))])",
            "return xp.transpose(y, self.order)",
            "axes are not put back where they were",
        ),
        (
            'channels = [length if letter == "c" else 1 for',
            'channels = [1 if letter == "c" else length for',
            "scales of channels are those of frames",
        ),
        ("FEW = 4  #", "FEW = 5  #", "five channels are taken for few"),
        (
            'for letter in "dhw" if letter in axes',
            'for letter in "hwd" if letter in axes',
            "volumes are mixed with their axes exchanged",
        ),
        (
            "fill = repeated(fill, 1, length if is_of_pixels(fill, len(size)) else 1)",
            "fill = repeated(fill, 1, 1)",
            "noise in holes of videos is in the first frame alone",
        ),
    ],
    ("fields/objects.py", "fields/test_fields.py ops/test_objects.py"): [
        (
            "lambda one, before: one * before, weight",
            "lambda one, before: one, weight",
            "boxes that are mixed twice forget their first weight",
        ),
        (
            'sides = boxes[..., d:] if self.format.endswith("wh")',
            'sides = boxes[..., d:] if self.format == "xywh"',
            "areas of centre and sides are wrong",
        ),
    ],
    ("fields/kinds.py", "fields/test_fields.py ops/test_objects.py"): [
        (
            'xp, axes = backends.of(x), layout.parse(self.layout or "", self.spatial)',
            'xp, axes = backends.of(x), layout.parse(self.layout or "")',
            "the axes to mix over are ignored",
        ),
        (
            'return list(x) if isinstance(x, list) else backends.of(x, "keep").copy(x)',
            "return x",
            "what is kept is the caller's memory",
        ),
    ],
    ("label_rules.py", "ops/test_label_rules.py"): [
        (
            'return backends.of(mix.lam).cast(mix.lam > 0, "float32")',
            'return backends.of(mix.lam).cast(mix.lam >= 0, "float32")',
            "classes of which nothing is seen are named",
        ),
        (
            "undecided = undecided & (source != greatest)",
            "undecided = undecided & (source == source)",
            "several heaviest sources sum to more than 1",
        ),
        (
            "return self if self.layout else replace(self, layout=layout, spatial=spatial)",
            "return replace(self, layout=layout, spatial=spatial)",
            "the layout that a rule says is ignored",
        ),
    ],
    ("batch.py", "batch/test_batch.py batch/test_return_mix.py"): [
        ("further = keys.fold_in(key, COPIES)", "further = key", "copies are drawn from the bits of other draws"),
        (
            "return with_mix(out, joined(mixes)) if settings.return_mix else out",
            "return with_mix(out, mixes[-1]) if settings.return_mix else out",
            "the mix that comes back is that of the last copy",
        ),
        (
            "slots=recipe.sources if settings.include_clean else 0",
            "slots=0",
            "clean and mixed samples have room for other numbers of objects",
        ),
    ],
    ("fields/plan.py", "fields/test_plan.py batch/test_batch.py"): [
        (
            "key = _form(batch), _declared_key(fields), type(num_classes), num_classes",
            "key = _form(batch), _declared_key(fields)",
            "batches of another number of classes have the first one's plan",
        ),
        (
            "return type(fields), options, *map(type, options)",
            "return type(fields), options",
            "True is taken for 1 once it has been",
        ),
    ],
    ("epoch.py", "batch/test_epoch.py batch/test_ranks_and_rows.py"): [
        (
            "_ORDER, _PARTNERS = -1, -2",
            "_ORDER, _PARTNERS = -1, -1",
            "partners are the neighbours in the order of the epoch",
        ),
        ("position = ring.inverse(ids) if sources > 1 else ids", "position = ids", "a row may be its own partner"),
        (
            "first = keys.make((self.seed, self.epoch))",
            "first = keys.make((self.seed, 0))",
            "all epochs have one order",
        ),
        ("key = (self.seed, epoch, number)", "key = (self.seed, 0, number)", "all epochs draw the same"),
        ("numbers=index[0], **options", "numbers=0 * index[0], **options", "single samples all draw the same"),
        (
            "keys.fold_in(first, COPIES), self.copy) if self.copy",
            "keys.fold_in(first, COPIES), 1) if self.copy",
            "all further copies of an epoch are the same",
        ),
    ],
    ("table.py", "lab/test_offline.py"): [
        ("if digest(image) != self", "if digest(image) == self", "images that changed are not noticed"),
        ("return 1 if name in", "return 0 if name in", "the rows of a table are taken for its sources"),
        ("copy, number = divmod(row, self._n)", "copy, number = 0, row % self._n", "all copies are the first one"),
    ],
    ("ray/mixed.py", "adapters/test_ray.py"): [
        ("numbers=ids, **options", "numbers=np.arange(len(ids)), **options", "rows are numbered within their block"),
        (
            "place = np.where(others == index[0], own,",
            "place = np.where(others < 0, own,",
            "a row is its own partner twice",
        ),
        ("(counts > 1) | seen[values]", "(counts > 1)", "ids that repeat in another block are taken"),
    ],
    ("lab/decoded.py", "lab/test_decoded.py"): [
        ("refuse(decoded.damaged, len(job.items))", "pass", "damaged files are left out without a word"),
        ("if _key(job) != place.name:", "if False:", "files that change while they are read are not noticed"),
        ("stat.st_size, stat.st_mtime_ns)", "stat.st_size, 0)", "a file of another date is not decoded again"),
        ("stat.st_size, stat.st_mtime_ns)", "0, stat.st_mtime_ns)", "a file of another size is not decoded again"),
        ("rows.append(item)", "rows.append(len(rows))", "labels move up by one after a damaged file"),
    ],
    ("lab/class_folders.py", "lab/test_decoded.py"): [
        ("kept[border:])", "kept[: len(kept) - border])", "test images have the labels of training images"),
    ],
    ("lab/arrays.py", "lab/test_arrays.py"): [
        ("allow_pickle=False", "allow_pickle=True", "an .npz file is unpickled"),
        ("if beyond.size:", "if False:", "a class in the test alone is not refused"),
        ("held_out = test_split or others", "held_out = others", "the training images of --test-data are tested on"),
    ],
    ("lab/log.py", "lab/test_report.py"): [
        ("if not whole:", "if False:", "an edited number is reported"),
        ('if line["run"] != self.run:', "if False:", "numbers of another configuration are reported"),
    ],
    ("lab/results.py", "lab/test_report.py"): [
        ("if of_arrays(arrays) !=", "if False and of_arrays(arrays) !=", "an exchanged result is reported"),
    ],
    ("lab/train.py", "lab/test_train.py"): [
        (
            "if digest in of and of[digest][:2] == (self.arm, self.seed):",
            "if digest in of:",
            "training goes on with the network of another arm",
        ),
        ('if digest != lines[self._last]["result"]:', "if False:", "an exchanged result counts as finished"),
    ],
    ("lab/dataset.py", "lab/test_train.py"): [
        ("(classes * np.maximum(counts, 1))", "(np.maximum(counts, 1))", "balanced class weights are not of mean 1"),
    ],
}

MUTATIONS = [Mutation(file, *each, tests) for (file, tests), rows in _TABLE.items() for each in rows]
