"""Themes: one folder each, with settings, templates and stylesheets. Missing files come from the theme `classic`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from advgen.cv.text_files import load_text, suggest
from advgen.specs.cv import CvFormat

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


def check(profile_folder: Path, theme: str = DEFAULT, templates: str | None = None) -> None:
    """Check the files of a theme or of a folder of templates. Raises ValueError, one line per error."""
    folders = custom_folders(profile_folder, theme, templates)
    for folder in folders:
        files = [folder / name for name in _NAMES if (folder / name).is_file()]
        if not files and not templates:
            allowed = f"allowed: {', '.join(BUILT_IN)}, or a folder with one of {', '.join(_NAMES)}"
            raise ValueError(f"theme is {theme!r}; {suggest(theme, BUILT_IN)}{allowed}")
        if not files:
            raise ValueError(f"templates: {folder} has no template; put one of {', '.join(_NAMES)} there")
        errors = []
        for path in files:
            try:
                load_text(path)
            except ValueError as error:
                errors.append(str(error))
        if errors:
            raise ValueError("\n".join(errors))
        base = _read_settings(folder).get("extends", DEFAULT)
        if base not in BUILT_IN:
            raise ValueError(f"{folder / SETTINGS}:1: extends is {base!r}; allowed: {', '.join(BUILT_IN)}")


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(load_text(path))
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise ValueError(f"{path}:{line}: not valid YAML; check the indentation, quotes and colons there") from error
    if not isinstance(settings, dict):
        raise ValueError(f'{path}:1: not a map of keys to values; write accent: "0B4A5C" and so on')
    return settings


def _read_if_any(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
