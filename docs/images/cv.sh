#!/bin/sh
# Create the pictures of docs/cv.md. Run it in the root of the project. Needs pdftoppm, Chromium and LibreOffice.
set -eu
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

cv() {  # changes of the profile, then flags
    printf '%s\n' "$1" > "$made/overlay.yaml"; shift
    python -m advgen cv --profile config/cv/profile.yaml --bibliography config/cv/publications.bib \
        --metrics config/cv/metrics.yaml --overlay "$made/overlay.yaml" --out "$made" "$@"
}

page() { pdftoppm -r 50 -png -f 1 -l 1 -singlefile "$1" "docs/images/$2"; }

shot() {  # name, 0: dark, 1: light
    chromium --headless --no-sandbox --hide-scrollbars --window-size=800,1000 --force-device-scale-factor=0.5 \
        --blink-settings=preferredColorScheme="$2" --screenshot="docs/images/$1.png" "file://$made/cv.html"
}

sections="position education positions honors publications"
for theme in classic academic compact; do
    cv "theme: $theme" --sections $sections --formats pdf
    page "$made/cv.pdf" "cv-$theme"
done
cv "theme: classic" --sections $sections --formats html docx
shot cv-light 1
shot cv-dark 0
soffice --headless --convert-to pdf --outdir "$made" "$made/cv.docx"
page "$made/cv.pdf" cv-docx
cv '{language: de, numbering: down, max_authors: 2, style: {given: initials, order: family-first, citation: full}}' \
    --sections position publications talks skills --formats pdf
page "$made/cv.pdf" cv-german
cat > "$made/profile.yaml" <<'YAML'
name: Zoë Quillåker
updated: 2025-10-15
order: [grants, {section: publications, group: type}, exhibitions, languages, about]
sections:
  grants:
    type: entries
    title: Grants & Funds
    items:
      - {title: Tests for all, organization: Fund & Co., start: 2019-09, details: ["10,000 €"]}
      - {title: Norms for few, organization: Ministry of Norms, start: 2014-01, end: 2016-12}
  exhibitions: {type: list, items: [Gallery of Tests, Museum of Norms]}
  languages: {type: table, columns: [Language, Level], rows: [[Magyar, native], [English, good]]}
  about: {type: text, text: I work on *tests*.}
aliases: [Z. Quillåker, Zoe Quillaker]
YAML
python -m advgen cv --profile "$made/profile.yaml" --bibliography config/cv/publications.bib --out "$made" --formats pdf
page "$made/cv.pdf" cv-sections
# 32 colours are enough; Pillow comes with matplotlib
python -c 'import sys; from PIL import Image
for name in sys.argv[1:]: Image.open(name).convert("RGB").quantize(32, dither=0).save(name, optimize=True)' docs/images/cv-*.png
