"""`snakemake --lint`, where only the finding about conda or container directives is allowed: the README's two commands
and environment.yml set the environment up as a whole."""

import re
import subprocess
import sys

result = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True, check=False)
said = result.stdout + result.stderr
findings = set(re.findall(r"^    \* (.+?):?$", said, flags=re.MULTILINE))
bad = sorted(finding for finding in findings if "conda environment or container" not in finding)
if bad or not (findings or "Congratulations" in said):
    sys.exit("\n".join(bad) or said)
