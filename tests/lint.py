"""Run `snakemake --lint`. A missing conda or container directive is fine: the environment is installed as a whole."""

import re
import subprocess
import sys

result = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True, check=False)
output = result.stdout + result.stderr
findings = set(re.findall(r"^    \* (.+?):?$", output, flags=re.MULTILINE))
bad = sorted(finding for finding in findings if "conda environment or container" not in finding)
if bad or not (findings or "Congratulations" in output):
    sys.exit("\n".join(bad) or output)
