"""Themes: one folder each, with settings, templates and stylesheets. Missing files come from the theme `classic`."""

import difflib
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from advgen.cv.fields import describe_value
from advgen.cv.text_files import load_text, suggest
from advgen.cv.yaml_files import Document, read
from advgen.specs.cv import CvFormat

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent / "themes"
DEFAULT = "classic"
BUILT_IN = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))

SETTINGS = "theme.yaml"
STYLESHEETS = ("theme.css", "dark.css")
"""Rules of one theme, in light and in dark mode. A page has those of every built-in theme."""
FILES: dict[CvFormat, tuple[str, ...]] = {
    "pdf": (SETTINGS, "cv.typ"),
    "html": ("cv.html.j2", "cv.css", *STYLESHEETS),
    "md": ("cv.md.j2",),
    "tex": (SETTINGS, "cv.tex.j2"),
    "docx": (SETTINGS, "styles.xml.j2"),
    "resume.json": (),
    "latex.pdf": (SETTINGS, "cv.tex.j2"),
}
"""Files of a theme that each format reads."""
_NAMES = sorted({name for names in FILES.values() for name in names})
_ALLOWED = {"headings": ("rule", "small-caps", "filled"), "extends": BUILT_IN}
_COLORS = ("accent", "tint")
_REMEDIES = {bool: "write true or false", str: "write a name", dict: "write its settings, such as {font: Georgia}"}


def custom_folders(profile_folder: Path, theme: str, templates: str | None = None) -> list[Path]:
    """Return the folders of the user that a profile names, the first one preferred."""
    names = [templates] if templates else []
    names += [theme] if theme and theme not in BUILT_IN else []
    return [profile_folder / name for name in names]


def search_path(theme: str, custom: Sequence[Path] = ()) -> list[Path]:
    """Return all folders that files of a theme may come from, the first one preferred."""
    base = theme if theme in BUILT_IN else DEFAULT
    for folder in reversed(custom):
        base = _read_settings(folder).get("extends", base)
    return list(dict.fromkeys([*custom, FOLDER / base, FOLDER / DEFAULT]))


def find_file(folders: Sequence[Path], name: str) -> Path:
    """Return the first file of a name."""
    return next(folder / name for folder in folders if (folder / name).is_file())


def list_files(format_: CvFormat, folders: Sequence[Path]) -> list[Path]:
    """Return every file that a format reads, folder by folder."""
    found = {name: next((f for f in folders if (f / name).is_file()), None) for name in FILES[format_]}
    shared = [FOLDER / theme for theme in BUILT_IN] if format_ == "html" else []
    files = []
    for folder in dict.fromkeys([*folders, *shared]):
        for name in FILES[format_]:
            is_read = found[name] == folder or name in (SETTINGS, *STYLESHEETS)
            files += [folder / name] if is_read and (folder / name).is_file() else []
    return files


def load_settings(format_: CvFormat, folders: Sequence[Path]) -> dict[str, Any]:
    """Return the settings of a theme for one format."""
    settings: dict[str, Any] = {}
    for folder in reversed(folders):
        for key, value in _read_settings(folder).items():
            is_group = isinstance(value, dict) and isinstance(settings.get(key), dict)
            settings[key] = settings[key] | value if is_group else value
    specific: dict[str, Any] = settings.get(format_, {})
    return {key: value for key, value in settings.items() if key not in FILES} | specific


def compose_css(folders: Sequence[Path]) -> str:
    """Return the stylesheet of the page, with the rules of all built-in themes and of the custom one."""
    themed = [*(FOLDER / name for name in BUILT_IN), *(folder for folder in folders if folder.parent != FOLDER)]
    light, dark = ("".join(_read_if_any(folder / name) for folder in themed) for name in STYLESHEETS)
    rules = f"{light}@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n"
    return find_file(folders, "cv.css").read_text(encoding="utf-8").replace("/* themes */\n", rules)


def class_names(theme: str, folders: Sequence[Path]) -> str:
    """Return the classes of the page: the built-in theme that a custom one extends, and the theme."""
    base = next(folder.name for folder in folders if folder.parent == FOLDER)
    return " ".join(dict.fromkeys([base, theme]))


def check(profile_folder: Path, theme: str = DEFAULT, templates: str | None = None) -> Iterator[str]:
    """Yield the errors in the files of a theme or of a folder of templates. Warns of settings that nothing reads.

    Raises ValueError if there is no such folder, or nothing in it.
    """
    for folder in custom_folders(profile_folder, theme, templates):
        if not folder.is_dir():
            raise ValueError(_describe_missing(folder, theme, templates))
        files = [folder / name for name in _NAMES if (folder / name).is_file()]
        if not files and not templates:
            allowed = f"allowed: {', '.join(BUILT_IN)}, or a folder with one of {', '.join(_NAMES)}"
            raise ValueError(f"theme is {theme!r}; {suggest(theme, BUILT_IN)}{allowed}")
        if not files:
            raise ValueError(f"templates: {folder} has no template; put one of {', '.join(_NAMES)} there")
        texts: list[str] = []
        errors: list[str] = []
        for path in files:
            try:
                texts.append(load_text(path))
                if path.name == SETTINGS:
                    errors += _check_settings(_read_document(folder))
            except ValueError as error:
                errors.append(str(error))
        yield from errors
        if not errors:
            _warn_of_settings(folder, "".join(texts))
            _warn_of_files(folder, "".join(texts))
            if not templates:
                _warn_of_class(folder)


def _describe_missing(folder: Path, theme: str, templates: str | None) -> str:
    """Return the error for a folder that does not exist, with the names of those next to it that have a theme."""
    key, name = ("templates", templates) if templates else ("theme", theme)
    beside = [path.name for path in folder.parent.glob("*/") if any((path / file).is_file() for file in _NAMES)]
    known = [] if templates else [*BUILT_IN]
    known += sorted(str(Path(name).with_name(other)) for other in beside)
    remedy = f"{suggest(name, known)}allowed: {', '.join(known)}" if known else "create it"
    return f"{key} is {name!r}, but there is no such folder next to the profile; {remedy}"


def _check_settings(document: Document) -> Iterator[str]:
    """Yield an error for each setting with a wrong value."""
    known = _known_settings()
    for location, value in _list_settings(document):
        key = location[-1]
        allowed, default = _ALLOWED.get(key, ()), known.get(key)
        if allowed:
            is_valid = value in allowed
            remedy = f"{suggest(str(value), allowed)}allowed: {', '.join(allowed)}"
        elif key in _COLORS:
            is_valid = isinstance(value, str) and bool(re.fullmatch("[0-9A-Fa-f]{6}", value))
            remedy = 'write six hexadecimal digits in quotes, such as "0B4A5C"'
        elif isinstance(default, int | float) and not isinstance(default, bool):
            is_valid = isinstance(value, int | float) and not isinstance(value, bool)
            remedy = f"write a number, such as {default}"
        else:
            is_valid = key not in known or isinstance(value, type(default))
            remedy = _REMEDIES.get(type(default), "")
        if not is_valid:
            yield f"{document.where(location)}: {key} is {describe_value(value)}; {remedy}"


def _warn_of_settings(folder: Path, texts: str) -> None:
    """Warn of settings that no template reads, if they are similar to one of a built-in theme."""
    document, known = _read_document(folder), _known_settings()
    for location, _ in _list_settings(document):
        key = location[-1]
        hint = suggest(key, known, cutoff=0.8).rstrip()
        if hint and key not in known and f"theme.{key}" not in texts:
            log.warning("%s: no template reads %s; %s", document.where(location), key, hint)


def _warn_of_files(folder: Path, texts: str) -> None:
    """Warn of files whose names are similar to one that is read."""
    for path in sorted(folder.iterdir()):
        near = difflib.get_close_matches(path.name, _NAMES, n=1, cutoff=0.8)
        if near and path.name not in _NAMES and path.name not in texts and not path.name.startswith("."):
            log.warning("%s is read by no format; did you mean %s?", path, near[0])


def _warn_of_class(folder: Path) -> None:
    """Warn of rules for another class than that of the page."""
    for path in (folder / name for name in STYLESHEETS):
        text = _read_if_any(path)
        if text and not re.search(rf"\.{re.escape(folder.name)}(?![\w-])", text):
            log.warning("%s:1: no rule is for .%s; the class of the page is the name of the folder", path, folder.name)


def _list_settings(document: Document) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the place and value of each setting, those of the formats too."""
    for key, value in document.data.items():
        yield (key,), value
        if key in FILES and isinstance(value, dict):
            yield from (((key, inner), setting) for inner, setting in value.items())


def _known_settings() -> dict[str, Any]:
    """Return every setting of a built-in theme with its default."""
    known = _read_settings(FOLDER / DEFAULT)
    groups = [value for value in known.values() if isinstance(value, dict)]
    return {key: value for settings in (known, *groups) for key, value in settings.items()} | {"extends": DEFAULT}


def _read_settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = _read_document(folder).data
    return settings


def _read_document(folder: Path) -> Document:
    """Return the settings of a folder with their lines, or none."""
    path = folder / SETTINGS
    if not path.is_file():
        return Document(path, {}, {}, {})
    document = read(path)
    if not isinstance(document.data, dict):
        raise ValueError(f'{path}:1: not a map of keys to values; write accent: "0B4A5C" and so on')
    return document


def _read_if_any(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
