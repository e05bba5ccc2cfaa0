"""Image files in class folders: lists the files and their labels, and reads each as 8-bit pixels.

Planning and the job that reads the pixels share this code. Pillow and numpy are imported only to open an image.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from advgen.specs.base import WrongValue

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".tif", ".tiff", ".webp", ".avif"),
)
"""Extensions of the files that are read as images, in lower case."""
HIDDEN = ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")
"""Files of operating systems, which are hidden like names that start with a dot."""
SPLITS = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
"""Names of the folders of training and test images, in order of preference."""
NAMED = 3
"""Number of files that a note names."""
LISTED_CLASSES = 12
"""Number of classes that a note names."""

Classes = str | tuple[str, ...] | None
"""The classes in order of their labels, a JSON file with them, or None for classes sorted by name."""


class Folder(NamedTuple):
    """The images in class folders: paths, labels, names of the classes, and skipped files.

    `skipped` has pairs of the reason and the path relative to the folder.
    """

    paths: list[Path]
    labels: list[int]
    names: tuple[str, ...]
    skipped: list[tuple[str, str]]


class ImageFacts(NamedTuple):
    """Properties of an image file: `channels` as stored, and `grey` if all pixels are grey."""

    height: int
    width: int
    channels: int
    grey: bool
    transparent: bool
    turned: bool
    """Whether its EXIF orientation swapped height and width."""
    frames: int


# --- folders ---------------------------------------------------------------------------------------------------------


def list_folder(folder: Path, classes: Classes = None, split: str = "train") -> Folder:
    """List the images of a folder of class folders by label, without opening them.

    Labels are those of torchvision's ImageFolder, which sorts names as text ("10" before "2"), or follow `classes`. If
    the folder has train and test (or val) folders, the images of `split` are listed, with the labels of train.

    Raises:
        ValueError: the folder has no images, or its folders do not match the classes.
    """
    listed = read_classes(classes)
    splits = find_splits(folder, listed)
    place = splits.get(split, folder)
    names = listed or tuple(one.name for one in _subfolders(splits.get("train", folder)))
    if len(names) < 2:
        raise ValueError(
            f"{folder}: has {len(names)} class folders, not 2 or more; "
            "put the images of each class in a separate folder"
        )
    skipped: list[tuple[Path, str]] = []
    if splits:
        outside = f"outside {' and '.join(f'{one.name}/' for one in splits.values())}"
        skipped += [(one, _skip_reason(one, outside)) for one in folder.iterdir() if one not in splits.values()]
    inside = {one.name: one for one in _subfolders(place, listed)}
    skipped += [
        (one, _skip_reason(one, "outside the class folders")) for one in place.iterdir() if one.name not in inside
    ]
    unknown = next((one for name, one in inside.items() if name not in names), None)
    if unknown is not None:
        where = "classes" if listed else splits["train"]
        raise ValueError(
            f"{unknown}: the class {unknown.name!r} is not in {where}; add it there, or move the folder away"
        )
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        if name not in inside:
            continue
        found = _list_class(inside[name], skipped)
        if not found:
            files = sorted(one.name for one in inside[name].iterdir())
            others = f", but {_shorten(files)}" if files else ""
            raise ValueError(f"{inside[name]}: has no readable images{others}; add images, or remove the folder")
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise ValueError(
            f"{place}: has no folder of any of the {len(names)} classes; rename the folders, or change classes"
        )
    return Folder(paths, labels, names, sorted((reason, str(one.relative_to(folder))) for one, reason in skipped))


def read_classes(classes: Classes) -> tuple[str, ...]:
    """Return the names of all classes in order of their labels, from a list or a JSON file; empty for None."""
    names = _read_class_to_idx(classes) if isinstance(classes, str) else classes or ()
    double = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if double is not None:
        raise WrongValue("classes", classes, f"has {double!r} twice; list each class once")
    if len(names) == 1:
        raise WrongValue("classes", classes, f"has only the class {names[0]!r}; list at least two")
    return names


def _read_class_to_idx(file: str) -> tuple[str, ...]:
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = "no such file; use a list of class folders, or a JSON file with ImageFolder's class_to_idx"
        raise WrongValue("classes", file, message) from None
    except (OSError, ValueError) as error:
        raise WrongValue("classes", file, f"is not a JSON file ({str(error).splitlines()[0]})") from None
    if isinstance(content, list) and content and all(isinstance(name, str) for name in content):
        return tuple(content)
    if not isinstance(content, dict) or not content or not all(type(label) is int for label in content.values()):
        raise WrongValue("classes", file, 'must map folders to labels, such as {"cat": 0, "dog": 1}')
    names = {label: name for name, label in content.items()}
    if sorted(names) != list(range(len(content))):
        message = f"must use each of the labels 0 to {len(content) - 1} once"
        raise WrongValue("classes", file, message)
    return tuple(names[label] for label in range(len(content)))


def find_splits(folder: Path, classes: Sequence[str] = ()) -> dict[str, Path]:
    """Return the folders of training and test images in a folder; empty if it contains the class folders."""
    possible = {one.name.lower(): one for one in _subfolders(folder) if one.name not in classes}
    found = {}
    for split, names in SPLITS.items():
        divided = [possible[name] for name in names if name in possible and _subfolders(possible[name])]
        if divided:
            found[split] = divided[0]
    if len(found) == 1:
        [(split, place)] = found.items()
        other = "test/ or val/" if split == "train" else "train/"
        advice = f"set path: {place}, or list the classes if {place.name} is a class"
        raise ValueError(f"{folder}: has a split {place.name}/, but no {other}; {advice}")
    return found


def _subfolders(folder: Path, listed: Sequence[str] = ()) -> list[Path]:
    """Return the folders that may be classes, in ImageFolder's order."""
    inside = (one for one in folder.iterdir() if one.is_dir() and (one.name in listed or not _is_hidden(one.name)))
    return sorted(inside, key=lambda one: one.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in HIDDEN


def _skip_reason(path: Path, otherwise: str) -> str:
    return "hidden" if _is_hidden(path.name) else otherwise


def _list_class(folder: Path, skipped: list[tuple[Path, str]]) -> list[Path]:
    """List the images below a class folder. Links to folders are followed, as in ImageFolder, but no folder twice."""
    images, visited = [], set[str]()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=_fail):
        hidden = [name for name in folders if _is_hidden(name)]
        skipped += [(Path(root, name), "hidden") for name in hidden]
        real = os.path.realpath(root)
        if real in visited:
            skipped.append((Path(root), "second link to a folder"))
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if name not in hidden]
        for name in files:
            path = Path(root, name)
            if _is_hidden(name):
                skipped.append((path, "hidden"))
            elif path.suffix.lower() not in ENDINGS:
                skipped.append((path, "not a supported image"))
            elif not path.exists():
                skipped.append((path, "broken link"))
            else:
                images.append(path)
    return sorted(images)


def _fail(error: OSError) -> None:
    raise ValueError(f"{error.filename}: {error.strerror}; make it readable, or move it") from None


# --- notes -----------------------------------------------------------------------------------------------------------


def describe_classes(folder: Path | str, names: Sequence[str]) -> str:
    """Return one line with the label of each class folder."""
    pairs = [f"{name} → {label}" for label, name in enumerate(names)]
    if len(pairs) > LISTED_CLASSES:
        pairs[LISTED_CLASSES - 2 : -1] = ["…"]
    numbers = [int(name) for name in names if name.isdecimal()]
    as_text = len(numbers) == len(names) and list(names) == sorted(names) and numbers != sorted(numbers)
    order = "; sorted as text, as in ImageFolder; list `classes` for another order" if as_text else ""
    return f"{folder}: {len(names)} classes (folder → label): {', '.join(pairs)}{order}"


def describe_skipped(folder: Path | str, skipped: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line with the skipped files and reasons; empty if none was skipped."""
    reasons: dict[str, list[str]] = {}
    for reason, path in dict.fromkeys(skipped):
        reasons.setdefault(reason, []).append(path)
    groups = [f"{len(paths):,} {reason} ({_shorten(paths)})" for reason, paths in reasons.items()]
    return [f"{folder}: skipped {'; '.join(groups)}"] if groups else []


def describe_images(
    folder: Path, files: Sequence[tuple[Path, int, str, ImageFacts]], background: str = "white"
) -> list[str]:
    """Return a line about each conversion of images, and one about files that are in two classes."""

    def shorten(paths: Sequence[Path]) -> str:
        return _shorten([os.path.relpath(path, folder) for path in paths])

    lines = []
    if transparent := [path for path, _, _, facts in files if facts.transparent]:
        lines.append(
            f"{folder}: {len(transparent):,} have transparent pixels, set to {background} ({shorten(transparent)})"
        )
    if several := [path for path, _, _, facts in files if facts.frames > 1]:
        lines.append(f"{folder}: {len(several):,} have several frames, of which the first is used ({shorten(several)})")
    first: dict[str, tuple[Path, int]] = {}
    duplicates = [
        (first[digest][0], path)
        for path, label, digest, _ in files
        if first.setdefault(digest, (path, label))[1] != label
    ]
    if duplicates:
        one, other = (os.path.relpath(path, folder) for path in duplicates[0])
        more = f", and {len(duplicates) - 1:,} more such files" if len(duplicates) > 1 else ""
        advice = "keep each image in one class"
        lines.append(f"{folder}: {one} and {other} are the same file in two classes{more}; {advice}")
    return lines


def _shorten(names: Sequence[str]) -> str:
    return ", ".join([*names[:NAMED], *(["…"] if len(names) > NAMED else [])])


# --- images ----------------------------------------------------------------------------------------------------------


def read_image(path: Path, background: str = "white") -> tuple[Image.Image, ImageFacts]:
    """Read an image as 8-bit grey (mode L) or colour (RGB), with the properties of its file.

    The EXIF orientation is applied, transparent pixels get the background, and grey values of more than 8 bits are
    scaled by the range of their type.

    Raises:
        ValueError: the file is damaged, or its values are out of range.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            file.load()  # fails for a truncated file
            frames = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)
            tags: Mapping[int, Any] = getattr(file, "tag_v2", {})
            upright = ImageOps.exif_transpose(file)
            turned = upright.size != file.size
            if file.mode == "F" or file.mode.startswith("I"):
                image, transparent = _scale(upright, tags, background)
            else:
                image, transparent = _flatten(upright, background)
            stored_grey = file.mode in ("1", "L", "LA", "La", "F") or file.mode.startswith("I")
            has_palette = file.mode in ("P", "PA")
    except _OutOfRange as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # Pillow raises errors of many types for damaged files
        reason = str(error).splitlines()[0].replace(repr(str(path)), "it") if str(error) else type(error).__name__
        raise ValueError(f"{path}: cannot be read as an image ({reason}); repair or remove it") from None
    grey = _is_grey(image)
    if grey and (stored_grey or has_palette):
        image = image if image.mode == "L" else image.getchannel(0)
    channels = 1 if image.mode == "L" else 3
    return image, ImageFacts(image.height, image.width, channels, grey, transparent, turned, frames)


class _OutOfRange(ValueError):
    """Pixel values outside the range of their type."""


def _scale(image: Image.Image, tags: Mapping[int, Any], background: str) -> tuple[Image.Image, bool]:
    """Convert grey values of 16 or 32 bits or floats to 8 bits; also return whether some are transparent."""
    from PIL import Image

    np = importlib.import_module("numpy")  # only for such images
    values = np.asarray(image)
    # BitsPerSample and SampleFormat of TIFF, which may be one for each channel
    bits, sample = (int(np.ravel(tags.get(tag, default))[0]) for tag, default in ((258, 16), (339, 1)))
    if image.mode == "F":
        full: float = 1
    else:
        values = values.view(np.uint32) if (bits, sample) == (32, 1) and values.itemsize == 4 else values
        full = 2 ** (bits - (sample == 2)) - 1
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= full:
        advice = "divide by the largest possible value" if full == 1 else "save it as 8-bit grey"
        raise _OutOfRange(f"has pixels from {low:g} to {high:g}, outside 0 to {full:g}; {advice}")
    pixels = np.round(values.astype(np.float64) * 255 / full).astype(np.uint8)
    if high > 0 and not pixels.any():
        raise _OutOfRange(f"has pixels up to {high:g} of {full:g}, which all become black; save it as 8-bit grey")
    if tags.get(262) == 0:  # a TIFF in which 0 is white; Pillow inverts only 8 bits
        pixels = 255 - pixels
    hidden = values == image.info.get("transparency", -1)
    pixels[hidden] = 255 if background == "white" else 0
    return Image.fromarray(pixels), bool(hidden.any())


def _flatten(image: Image.Image, background: str) -> tuple[Image.Image, bool]:
    """Convert an 8-bit image to grey or colour on a background; also return whether some pixels are transparent."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("L" if image.mode in ("1", "L") else "RGB"), False
    layer = image.convert("RGBA")
    transparent = layer.getchannel("A").getextrema() != (255, 255)
    return Image.alpha_composite(Image.new("RGBA", layer.size, background), layer).convert("RGB"), transparent


def _is_grey(image: Image.Image) -> bool:
    from PIL import ImageChops

    if image.mode == "L":
        return True
    red, green, blue = image.split()
    return not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))


def check_image(path: Path, facts: ImageFacts, first: tuple[Path, ImageFacts], channels: int | None = None) -> None:
    """Raise ValueError if an image differs in size from the first one, or has colours although channels = 1."""
    place, other = first
    if (facts.height, facts.width) != (other.height, other.width):
        message = f"has {_size(facts)} pixels, but {place} has {_size(other)}; resize all images to one size"
        raise ValueError(f"{path}: {message}")
    if channels == 1 and not facts.grey:
        raise ValueError(f"{path}: has colours, but channels = 1; set channels: 3, or convert it to grey")


def _size(facts: ImageFacts) -> str:
    return f"{facts.height}×{facts.width}{' (rotated by its EXIF orientation)' if facts.turned else ''}"
