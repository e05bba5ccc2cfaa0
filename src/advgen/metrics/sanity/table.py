"""All sanity checks in one table: what each protects from, its source, its function, and what a failure does."""

from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import NamedTuple

import pyarrow as pa

from advgen.metrics.sanity import baselines, certificates, classifiers, generative, integrity, strength, transfers
from advgen.metrics.sanity.classifiers import CHANCE, DETERMINISTIC, GRADIENTS
from advgen.metrics.sanity.results import Check
from advgen.metrics.sanity.strength import SQUARE

STATISTICAL, INVARIANT, BASELINE, STORED = "statistical", "invariant", "baseline", "stored images"
"""Groups of checks. Statistical failures of classifiers with declared obfuscated gradients are only warnings. Checks of
stored images take one file of examples at a time."""
FAILS = "failure"
FAILS_30 = "failure, or warning with fewer than 30 examples"
FAILS_200 = "failure, or warning with fewer than 200 examples"
WARNS = "warning"

_MASKING = "athalye2018obfuscated, section 3.1"
_EVALUATING = "carlini2019evaluating"
_FID, _YEH, _FGSM = "heusel2017gans", "yeh2017semantic", "goodfellow2015explaining"
_POISSON, _SCENES, _TABLE_2 = "perez2003poisson", "hays2007scene", "szegedy2014intriguing, table 2"
_THREAT_MODEL, _PAIRED = "definition of the threat model", "paired comparison"
_CERTIFICATE, _BASELINE = "definition of a certificate", "trivial baseline"
Checker = Callable[..., Iterable[Check]]


class SanityCheck(NamedTuple):
    """One check, by its name in the column `check` of the table `sanity_checks`.

    The parameters of `function` are named after the tables that it takes.
    """

    group: str
    function: Checker
    name: str
    on_failure: str
    protects_from: str
    source: str

    @property
    def tables(self) -> tuple[str, ...]:
        """The kinds of tables that the function takes."""
        return tuple(signature(self.function).parameters)


_CHECKS: dict[str, dict[Checker, list[tuple[str, str, str, str]]]] = {
    STATISTICAL: {
        strength.compare_attacks: [
            ("a larger eps leaves no more right", FAILS_30, "attacks that miss larger changes", _MASKING),
            ("more steps or restarts leave no more right", FAILS_30, "attacks that depend on luck", _EVALUATING),
            ("PGD leaves no more right than FGSM", FAILS_30, "masked gradients", _MASKING),
            ("APGD leaves no more right than FGSM", FAILS_30, "masked gradients", _MASKING),
            ("an ensemble leaves no more right than FGSM", FAILS_30, "masked gradients", _MASKING),
            (SQUARE, FAILS_30, "masked gradients, which Square does not need", _MASKING),
            ("an attack leaves no more right than noise", FAILS_30, "attacks that find nothing", _MASKING),
            ("eps = 1 leaves nothing right", FAILS, "attacks that stop too early", _MASKING),
            ("losses agree within 3 points", WARNS, "a loss that saturates", _EVALUATING),
            ("several steps stand beside FGSM at its eps", WARNS, "FGSM training tested by FGSM alone", _EVALUATING),
        ],
        classifiers.check_gradients: [
            (GRADIENTS, FAILS, "gradients that vanish, or do not reach the input", _MASKING),
        ],
        classifiers.check_better_than_chance: [
            (CHANCE, WARNS, "robustness of a model that has not learned", _EVALUATING),
        ],
        classifiers.check_deterministic_logits: [
            (DETERMINISTIC, FAILS, "random models attacked as deterministic ones", _MASKING),
        ],
        strength.check_step_sizes: [
            ("the steps reach the ball's border", WARNS, "attacks with too few or too short steps", _EVALUATING),
        ],
        strength.check_unlimited_attacks: [
            ("an attack without a budget leaves nothing right", WARNS, "minimisation attacks that give up", _MASKING),
        ],
        transfers.check_white_box: [
            ("white box leads its column", FAILS_30, "white-box attacks weaker than transfers", _MASKING),
            ("white box leads its row", FAILS_30, "examples credited to the wrong model", _MASKING),
        ],
        generative.check_contextual_loss: [
            ("contextual loss is better", FAILS_30, "a loss on the wrong pixels", _YEH),
        ],
        generative.check_mask_order: [
            ("the report's order of masks", WARNS, "a finding that does not replicate", "the original report"),
        ],
        generative.check_calibration: [
            ("real images are the lowest level", FAILS_200, "a classifier that prefers damaged images", _FID),
        ],
        generative.check_gan_training: [
            ("the GAN has learnt", WARNS, "conclusions from GANs that collapsed or stalled", "metz2017unrolled"),
        ],
    },
    INVARIANT: {
        integrity.check_finite_measurements: [
            ("facts are numbers", FAILS, "models with NaN outputs that count as fooled", _EVALUATING),
        ],
        integrity.check_shared_images: [
            ("attacks meet the same images", FAILS, "comparisons of different images", _PAIRED),
            ("attacks meet the same net", FAILS, "comparisons of different models", _PAIRED),
        ],
        classifiers.check_clean_accuracy: [
            ("clean accuracy is the test accuracy", FAILS_30, "training images, or wrong labels", _EVALUATING),
        ],
        certificates.check_certified_radii: [
            ("certified radii hold", FAILS, "certificates that do not hold", _CERTIFICATE),
        ],
        certificates.check_certified_radii_on_transfers: [
            ("certified radii hold", FAILS, "certificates refuted by transferred examples", _CERTIFICATE),
        ],
    },
    BASELINE: {
        baselines.check_inpainting: [
            ("inpainting beats harmonic fill", WARNS, "generators that add nothing to smoothing", _POISSON),
            ("inpainting beats harmonic fill, with Poisson blending", WARNS, "the same after blending", _POISSON),
            ("inpainting beats Poisson fill", WARNS, "generators no better than a training image", _SCENES),
            ("inpainting beats Poisson fill, with Poisson blending", WARNS, "the same after blending", _SCENES),
        ],
        baselines.check_attack_controls: [
            ("an attack beats its control", WARNS, "changes that fool by their size alone", _MASKING),
        ],
        baselines.check_transfer_controls: [
            ("transferred examples beat noise of the same norms", WARNS, "transfer by the size of changes", _TABLE_2),
        ],
        baselines.check_paths: [
            ("a third class is rarer than in pixel blends", WARNS, "latent paths no better than fading", _BASELINE),
            ("paths are smoother than pixel blends", WARNS, "latent paths that jump", _BASELINE),
        ],
        baselines.check_gradient_direction: [
            ("a gradient moves logits further than random signs", WARNS, "gradients that say nothing", _FGSM),
        ],
        baselines.check_pgd_starts: [
            ("steps fool more than their random starts", WARNS, "optimisation that does nothing", _BASELINE),
        ],
        baselines.check_certificates: [
            ("certificates beat a constant answer", WARNS, "certified accuracy of constant models", _BASELINE),
        ],
        baselines.check_fid_of_real_images: [
            ("samples are told from real images", WARNS, "a blind metric, or memorised samples", _FID),
        ],
        baselines.check_class_counts: [
            ("two classifiers count the same classes", WARNS, "class counts that depend on one classifier", _BASELINE),
        ],
        baselines.check_reconstructions: [
            ("reconstruction beats as many principal components", WARNS, "autoencoders no better than PCA", _BASELINE),
            ("reconstruction beats the nearest training image", WARNS, "no better than a lookup", _BASELINE),
        ],
        baselines.check_inversions: [
            ("inversion beats as many principal components", WARNS, "inversions no better than PCA", _BASELINE),
            ("inversion beats the nearest training image", WARNS, "no better than a lookup", _BASELINE),
        ],
        baselines.check_encoder_starts: [
            ("an encoder's guess beats a random start", WARNS, "encoders that do not help", _BASELINE),
        ],
        baselines.check_matched_moments: [
            ("matched moments beat a fitted Gaussian", WARNS, "moment matching that does not help", _BASELINE),
        ],
    },
    STORED: {
        integrity.check_pixels: [
            ("finite", FAILS, "pixels that are NaN or infinite", _THREAT_MODEL),
            ("box", FAILS, "pixels outside [0, 1]", _THREAT_MODEL),
            ("ball", FAILS, "changes larger than eps", _THREAT_MODEL),
        ],
        integrity.check_saved_predictions: [
            ("saved images give the saved predictions", FAILS, "success of images that were not saved", _EVALUATING),
        ],
        integrity.check_attacked_images: [
            ("test images are attacked", FAILS, "attacks on images that are not test images", _EVALUATING),
        ],
    },
}
"""By group and function: the name of each check, what a failure does, what it protects from, and its source."""
CHECKS = tuple(
    SanityCheck(group, function, *row)
    for group, functions in _CHECKS.items()
    for function, rows in functions.items()
    for row in rows
)


def run_checks(tables: Mapping[str, pa.Table], *groups: str) -> list[Check]:
    """The rows of all checks of these groups whose tables exist, in the order of `groups` and CHECKS."""
    functions = {check.function: check for group in groups for check in CHECKS if check.group == group}
    possible = [check for check in functions.values() if tables.keys() >= set(check.tables)]
    return [row for check in possible for row in check.function(*(tables[name] for name in check.tables))]
