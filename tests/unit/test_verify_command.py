"""`advgen verify` on the verdict that it wrote itself."""

from pathlib import Path

import pytest

from advgen.cli import main

VERDICT = Path("results/report/verify.md")


def test_an_edited_verdict_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(
        "datasets: {mnist: {kind: mnist}}\nclassifiers: {net: {dataset: mnist, model: cnn}}\n"
    )
    main(["verify", "study.yaml", "--out", str(VERDICT)])
    main(["verify", "study.yaml"])
    VERDICT.write_text(VERDICT.read_text().replace("0 artefacts agree", "9 artefacts agree"))
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1 of 1 artefacts do not agree"):
        main(["verify", "study.yaml"])
    assert f"{VERDICT}: is damaged (it has been changed); rule verify makes it" in capsys.readouterr().out
    main(["verify", "study.yaml", "--fix"])
    assert not VERDICT.exists()
    VERDICT.write_text("all is well")
    with pytest.raises(SystemExit, match="do not agree"):
        main(["verify", "study.yaml"])
    assert "has no stamp" in capsys.readouterr().out
    main(["verify", "study.yaml", "--out", str(VERDICT)])  # the rule looks at what is made before it
