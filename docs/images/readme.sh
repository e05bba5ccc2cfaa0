#!/bin/sh
# Create the pictures of README.md. Run it in the root of the project after the default study. Needs Chromium.
set -eu
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

shot() {  # page, name, width, height
    chromium --headless --no-sandbox --hide-scrollbars --user-data-dir="$made/browser" --window-size="$3,$4" \
        --screenshot="$made/$2.png" "file://$(realpath "$1")"
}

shot results/report/index.html report 1280 1000
shot results/cv/cv.html cv 900 1100
python - "$made" <<'PYTHON'
import re
import sys
from pathlib import Path

import mermaidx
from PIL import Image

made = Path(sys.argv[1])
[graph] = re.findall(r"```mermaid\n(.*?)```", Path("docs/rules.md").read_text(encoding="utf-8"), flags=re.DOTALL)
(made / "rules.png").write_bytes(mermaidx.render(graph, config={"theme": "neutral"}).png())
for name, width in {"report": 900, "cv": 640, "rules": 1200}.items():
    picture = Image.open(made / f"{name}.png")
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    picture.thumbnail((width, 2000), Image.Resampling.LANCZOS)
    palette = {"method": Image.Quantize.MAXCOVERAGE, "kmeans": 4, "dither": Image.Dither.NONE}  # as in gallery.py
    picture.quantize(64, **palette).save(Path("docs/images") / f"readme-{name}.png", optimize=True)
PYTHON
