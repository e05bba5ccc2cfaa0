"""Take the pictures of docs/gallery.md: `python -m docs.images.gallery RESULTS_OF_CONFIG RESULTS_OF_SMOKE`."""

import sys
from pathlib import Path

from PIL import Image
from tools.reference import EXAMPLES, find_examples

for kind, (study, name, _) in find_examples().items():
    results = Path(sys.argv[1 + EXAMPLES.index(study)])
    picture = Image.open(results / "figures" / f"{name}.png").convert("RGB")
    picture.thumbnail((720, 720), Image.Resampling.LANCZOS)
    target = Path("docs/images/gallery") / f"{kind}.png"
    target.parent.mkdir(exist_ok=True)
    # the usual choice of a palette, by how often a colour occurs, makes thin blue lines grey
    palette = {"method": Image.Quantize.MAXCOVERAGE, "kmeans": 4, "dither": Image.Dither.NONE}
    picture.quantize(64, **palette).save(target, optimize=True)
