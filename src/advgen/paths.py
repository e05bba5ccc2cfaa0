"""Where every artefact lies: one pattern per output of each rule. Names and seeds are identities, never parameters."""

from __future__ import annotations

from collections.abc import Mapping

RESULTS = "results"

PATTERNS: dict[str, dict[str, str]] = {
    "make_dataset": {
        "train": "results/datasets/{raw}/train.parquet",
        "test": "results/datasets/{raw}/test.parquet",
    },
    "derive_dataset": {
        "train": "results/datasets/{derived}/train.parquet",
        "test": "results/datasets/{derived}/test.parquet",
    },
    "train_judge": {
        "model": "results/judges/{dataset}/judge.safetensors",
        "history": "results/judges/{dataset}/history.parquet",
    },
    "calibrate_judge": {"ladder": "results/judges/{dataset}/ladder.parquet"},
    "train_gan": {
        "generator": "results/gans/{gan}/seed{seed}/generator.safetensors",
        "discriminator": "results/gans/{gan}/seed{seed}/discriminator.safetensors",
        "history": "results/gans/{gan}/seed{seed}/history.parquet",
    },
    "evaluate_gan": {
        "samples": "results/gans/{gan}/seed{seed}/samples.parquet",
        "quality": "results/gans/{gan}/seed{seed}/quality.parquet",
    },
    "train_autoencoder": {
        "model": "results/autoencoders/{autoencoder}/seed{seed}/autoencoder.safetensors",
        "history": "results/autoencoders/{autoencoder}/seed{seed}/history.parquet",
        "snapshots": "results/autoencoders/{autoencoder}/seed{seed}/snapshots.parquet",
    },
    "evaluate_autoencoder": {
        "reconstructions": "results/autoencoders/{autoencoder}/seed{seed}/reconstructions.parquet",
        "decoded": "results/autoencoders/{autoencoder}/seed{seed}/decoded.parquet",
        "quality": "results/autoencoders/{autoencoder}/seed{seed}/quality.parquet",
    },
    "train_classifier": {
        "model": "results/classifiers/{classifier}/seed{seed}/classifier.safetensors",
        "history": "results/classifiers/{classifier}/seed{seed}/history.parquet",
    },
    "train_probe": {
        "model": "results/probes/{probe}/seed{seed}/classifier.safetensors",
        "history": "results/probes/{probe}/seed{seed}/history.parquet",
    },
    "train_encoder": {
        "model": "results/encoders/{encoder}/seed{seed}/encoder.safetensors",
        "history": "results/encoders/{encoder}/seed{seed}/history.parquet",
    },
    "truncate": {"quality": "results/truncations/{truncation}/{generator}--seed{seed}.parquet"},
    "invert": {"inversion": "results/inversions/{inversion}/{generator}--seed{seed}.parquet"},
    "inpaint": {"inpainting": "results/inpaintings/{inpainting}/{generator}--seed{seed}.parquet"},
    "interpolate": {"interpolation": "results/interpolations/{interpolation}/{model}--seed{seed}.parquet"},
    "craft": {"examples": "results/attacks/{source}/seed{seed}/{attack}.parquet"},
    "transfer": {"row": "results/transfers/{study}/{source}--seed{seed}--{attack}.parquet"},
    "linearity": {"logits": "results/linearities/{linearity}/{source}--seed{seed}.parquet"},
    "converge": {"steps": "results/convergences/{convergence}/{source}--seed{seed}.parquet"},
    "simulate": {"series": "results/simulations/{simulation}.parquet"},
    "evaluate_classifiers": {"table": "results/tables/classifiers.parquet"},
    "count_parameters": {"table": "results/tables/models.parquet"},
    "check_laws": {"laws": "results/tables/laws.parquet"},
    "summarise": {"table": "results/tables/{table}.parquet"},
    "draw": {"pdf": "results/figures/{figure}.pdf", "png": "results/figures/{figure}.png"},
    "cv_data": {"cv": "results/cv/{variant}.json"},
    "cv_render": {"file": "results/cv/{variant}.{format}"},
    "report_page": {"page": "results/report/index.html"},
    "verify": {"verdict": "results/report/verify.md"},
    "qa": {"verdict": "results/report/qa.md"},
}


def raw(dataset: str, file: str) -> str:
    """A verified download."""
    return f"results/datasets/{dataset}/raw/{file}"


def outputs(rule: str, wildcards: Mapping[str, str]) -> dict[str, str]:
    """The files that one job of a rule makes."""
    return {role: pattern.format(**wildcards) for role, pattern in PATTERNS[rule].items()}
