"""The sanity checks: sound networks keep them, two planted traps do not."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from advgen import registry
from advgen.attacks.run import craft
from advgen.core.catalog import TABLES
from advgen.files.provenance import Stamp
from advgen.io.checkpoints import build
from advgen.io.tables import arrow_table, concatenate, read_images, write_table
from advgen.jobs.job import Job
from advgen.metrics.chance import MIN_WITHOUT_INTERVAL
from advgen.metrics.sanity.generative import check_calibration
from advgen.metrics.sanity.integrity import SAMPLE, check_attacked_images, check_pixels, check_saved_predictions
from advgen.metrics.sanity.strength import compare_attacks, compare_effort, list_comparisons
from advgen.metrics.sanity.table import INVARIANT, STATISTICAL, run_checks
from advgen.metrics.sanity.transfers import check_white_box
from advgen.outcomes.sanity import check as sanity_checks
from advgen.outcomes.sanity.outcome import SanityChecks
from advgen.specs.networks import FcNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.classifier import train_classifier
from advgen.training.state import Callbacks

SHAPE, N = (1, 9, 9), 240
ATTACKS = {
    "noise": {"kind": "gaussian_noise", "sd": 0.2},
    "fgsm-small": {"kind": "fgsm", "eps": 0.1},
    "fgsm": {"kind": "fgsm", "eps": 0.2},
    "pgd-small": {"kind": "pgd", "eps": 0.1, "steps": 10},
    "pgd": {"kind": "pgd", "eps": 0.2, "steps": 10},
    "pgd-margin": {"kind": "pgd", "eps": 0.2, "steps": 10, "loss": "margin"},
    "pgd-long": {"kind": "pgd", "eps": 0.2, "steps": 20, "restarts": 2},
    "pgd-one": {"kind": "pgd", "eps": 1.0, "steps": 10},
    "square": {"kind": "square", "eps": 0.2, "queries": 150},
    "deepfool": {"kind": "deepfool"},
}


class LargeLogits(torch.nn.Module):
    """A trap: cross-entropy is exactly zero, and so is its gradient."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return 1e4 * self.net(x)


class CoarseInput(LargeLogits):
    """A trap: rounding has no gradient."""

    def forward(self, x):
        return self.net((x * 8).round() / 8)


def stripes():
    labels = torch.arange(N) % 3
    images = torch.randint(0, 200, (N, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for row in range(3):
        images[labels == row, :, 3 * row : 3 * row + 3] += 55
    return images, labels


def table_of(model, name):
    """The examples of all attacks on a model, as `craft` writes them."""
    images, labels = stripes()
    tables = []
    for attack_name, settings in ATTACKS.items():
        attack = registry.parse("attacks", settings)
        indices = list(range(N))
        crafted = craft(registry.resolve(attack), model, images, labels, attack, seed=0, indices=indices)
        columns = {
            "source": name,
            "source_seed": 0,
            "dataset": "stripes",
            "tested_on": "stripes",
            "images": N,
            "parameters": 1,
            "defence": "none",
            "attack": attack_name,
            "kind": attack.kind,
            **attack.threat()._asdict(),
            "index": indices,
            "label": labels.numpy(),
            "image": images.float().numpy() / 255,
            **crafted.columns(),
        }
        tables.append(arrow_table("examples", columns))
    return concatenate(tables)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    model = build("networks", FcNetwork(kind="fc", hidden=(20,)).fit(SHAPE), 3)
    images, labels = stripes()
    training = ClassifierTraining(epochs=30, batch=20, lr=0.01)
    history = train_classifier(model, images, labels, training, 0, (images, labels), "cpu", Callbacks())
    assert history["accuracy"][-1] > 0.98
    return model


@pytest.fixture(scope="module")
def tables(net):
    made = {"sound": net, "large": LargeLogits(net), "coarse": CoarseInput(net)}
    return {name: table_of(model.eval(), name) for name, model in made.items()}


def found(tables, name):
    one = {"examples": tables[name]}
    return run_checks(one, STATISTICAL, INVARIANT)


def broken(found_laws, kind="check"):
    return {check["check"] for check in found_laws if not check["holds"] and check["kind"] == kind}


def test_a_sound_network_keeps_every_law_and_raises_no_flag(tables):
    checked = [*found(tables, "sound"), *check_pixels(tables["sound"])]
    assert [check for check in checked if not check["holds"]] == []
    assert {check["check"] for check in checked} == {
        "PGD leaves no more right than FGSM",
        "a gradient attack leaves no more right than Square",
        "a larger eps leaves no more right",
        "an attack leaves no more right than noise",
        "ball",
        "box",
        "eps = 1 leaves nothing right",
        "finite",
        "several steps stand beside FGSM at its eps",
        "input gradients are not zero",
        "losses agree within 3 points",
        "more steps or restarts leave no more right",
        "the net is better than chance",
        "two passes give the same logits",
        "the steps reach the ball's border",
        "an attack without a budget leaves nothing right",
        "facts are numbers",
        "attacks meet the same images",
        "attacks meet the same net",
    }
    strong = [check for check in checked if check["check"] == "an attack leaves no more right than noise"]
    assert all(check["high"] < -0.1 for check in strong if "square" not in check["subject"])


def without(table, *attacks):
    return table.filter(np.isin(table.column("attack").to_numpy(), attacks, invert=True))


def test_gradients_that_the_input_hides_are_caught(tables):
    checked = run_checks({"examples": without(tables["coarse"], "pgd-margin")}, STATISTICAL)
    assert "a gradient attack leaves no more right than Square" in broken(checked)
    assert "eps = 1 leaves nothing right" in broken(checked)
    assert "input gradients are not zero" in broken(checked)
    [zeros] = [check for check in checked if check["check"] == "input gradients are not zero"]
    assert zeros["estimate"] > 0.9


def test_every_loss_sees_through_large_logits(tables):
    assert broken(found(tables, "large")) == broken(found(tables, "sound")) == set()
    assert "losses agree within 3 points" not in broken(found(tables, "large"), "warning")


def test_a_loss_that_finds_less_than_another_one_is_flagged(tables):
    """Where all are blind, they agree."""
    table = tables["sound"]
    is_pgd = np.isin(table.column("attack").to_numpy(), ["pgd", "pgd-long"])
    unmoved = np.where(is_pgd, table.column("predicted_clean").to_numpy(), table.column("predicted").to_numpy())
    place = table.schema.get_field_index("predicted")
    blind = table.set_column(place, table.schema.field(place), pa.array(unmoved, table.schema.field(place).type))
    assert "losses agree within 3 points" in broken(found({"blind": blind}, "blind"), "warning")
    assert "losses agree within 3 points" not in broken(found(tables, "coarse"), "warning")


def with_images(table, column, images):
    """The table with another image column."""
    place = table.schema.get_field_index(column)
    made = pa.array([one.tobytes() for one in images.astype(np.float32)], type=table.schema.field(place).type)
    return table.set_column(place, table.schema.field(place), made)


@pytest.mark.parametrize("column", ["image", "adversarial"])
@pytest.mark.parametrize("pixel", [-0.4, 2.8])
def test_images_outside_the_box_are_broken(tables, column, pixel):
    """Such as clean ones that were standardised outside the model."""
    table = tables["sound"]
    images = read_images(table, column).copy()
    images[-1, 0, 4, 4] = pixel
    assert "box" in broken(check_pixels(with_images(table, column, images)))


def test_the_net_repeats_its_predictions(tables, net):
    checked = list(check_saved_predictions(tables["sound"], net))
    assert len(checked) == len(ATTACKS)
    assert all(check["holds"] and check["n"] >= SAMPLE for check in checked)


@pytest.mark.parametrize("column", ["predicted_clean", "predicted"])
def test_predictions_of_other_images_are_broken(tables, net, column):
    table = tables["sound"].filter(pc.equal(tables["sound"].column("attack"), "fgsm"))
    moved = np.roll(table.column(column).to_numpy(), 1)
    place = table.schema.get_field_index(column)
    wrong = table.set_column(place, table.schema.field(place), pa.array(moved, table.schema.field(place).type))
    (check,) = check_saved_predictions(wrong, net)
    assert (check["check"], check["holds"]) == ("saved images give the saved predictions", False)
    assert (check["kind"], check["source"]) == ("check", "sound")


@pytest.mark.parametrize(
    ("loss", "unstable", "kind"),
    [
        ("expected cross_entropy", True, "warning"),
        ("cross_entropy", True, "check"),
        ("expected cross_entropy", False, "check"),
    ],
)
def test_predictions_of_a_stochastic_net_are_a_warning_where_its_attack_averages(tables, net, loss, unstable, kind):
    table = tables["sound"].filter(pc.equal(tables["sound"].column("attack"), "pgd"))
    for name, value in (("loss", loss), ("unstable", unstable)):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array([value] * len(table)))
    torch.manual_seed(0)
    (check,) = check_saved_predictions(table, Dropped(net))
    assert (check["kind"], check["holds"]) == (kind, False)


def test_images_that_are_not_those_predicted_are_broken(tables, net):
    """Saved as they were before the attack: the predictions are of images that nobody has."""
    clean = read_images(tables["sound"], "image")
    checked = check_saved_predictions(with_images(tables["sound"], "adversarial", clean), net)
    assert [check["holds"] for check in checked if "fgsm" in check["subject"]] == [False, False]


class Dropped(LargeLogits):
    """A trap: dropout that no mode turns off."""

    def forward(self, x):
        return torch.nn.functional.dropout(self.net(x), 0.5, training=True)


class OfItsBatch(LargeLogits):
    """A trap: logits that depend on the other images of the batch."""

    def forward(self, x):
        return self.net(x) + self.net(x).flip(0)


@pytest.mark.parametrize("trap", [Dropped, OfItsBatch])
def test_a_net_that_answers_otherwise_the_next_time_is_broken(net, trap):
    attack = registry.parse("attacks", ATTACKS["fgsm"])
    images, labels = stripes()

    def unstable(model):
        crafted = craft(registry.resolve(attack), model, images, labels, attack, seed=0, indices=list(range(N)))
        return crafted.measurements.unstable

    torch.manual_seed(0)
    assert unstable(trap(net)).mean() > 0.5
    assert not unstable(net).any()
    assert not unstable(LargeLogits(net)).any()


def stored(images, labels, index=range(N)):
    """A data set as it lies on disk."""
    return arrow_table("dataset", {"index": list(index), "label": labels, "cue": None, "image": images})


def test_split():
    """The data set that the attacked images come from."""
    images, labels = stripes()
    return images.numpy(), labels.numpy()


test_split.__test__ = False
TRAPS = {
    "other images": lambda images, labels: stored(images[::-1], labels),
    "other labels": lambda images, labels: stored(images, (labels + 1) % 3),
    "images of another size": lambda images, labels: stored(images[:, :, :8], labels),
    "unknown images": lambda images, labels: stored(images, labels, range(1000, 1000 + N)),
}


def test_what_is_attacked_are_test_images(tables):
    checked = list(check_attacked_images(tables["sound"], stored(*test_split())))
    assert len(checked) == len(ATTACKS) and all(check["holds"] for check in checked)


@pytest.mark.parametrize("trap", TRAPS)
def test_other_images_in_place_of_test_images_are_broken(tables, trap):
    checked = check_attacked_images(tables["sound"], TRAPS[trap](*test_split()))
    assert {(check["kind"], check["holds"]) for check in checked} == {("check", False)}


def test_one_other_image_is_enough(tables):
    images, labels = test_split()
    images[3] = images[4]
    checked = list(check_attacked_images(tables["sound"], stored(images, labels)))
    assert {check["detail"] for check in checked} == {f"1 of {N} differ from the test image or its label"}
    assert not any(check["holds"] for check in checked)


PGD, FGSM = {"kind": "pgd", "loss": "cross_entropy"}, {"kind": "fgsm", "loss": "cross_entropy"}
ONE_STEP = {**FGSM, "steps": 1, "step_size": 0.1}


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"steps": 20, "step_size": 0.0125}, "check"),
        ({"steps": 20, "step_size": 0.0125, "loss": "margin"}, "warning"),
        ({"steps": 2, "step_size": 0.01}, "warning"),
    ],
)
def test_pgd_must_beat_fgsm_only_on_its_loss_and_if_it_can_cross_the_ball(keys, kind):
    shared = {"norm": "linf", "eps": 0.1, "restarts": 1}
    facts = pd.DataFrame([{**shared, **PGD, **keys}, {**shared, **ONE_STEP}], index=["pgd", "fgsm"]).rename_axis(
        "attack"
    )
    found = {one.check: one.kind for one in list_comparisons(facts)}
    assert found["PGD leaves no more right than FGSM"] == kind


def test_the_subjects_are_a_key(tables):
    together = concatenate(list(tables.values()))
    checked = [*found({"all": together}, "all"), *check_pixels(together)]
    columns = {column: [check[column] for check in checked] for column in TABLES["sanity_checks"].columns}
    assert arrow_table("sanity_checks", columns).num_rows == len(checked)


def test_masked_classifiers_get_flags_instead(tables, net, tmp_path, monkeypatch):
    nets = {"sound": net, "large": LargeLogits(net), "coarse": CoarseInput(net)}
    monkeypatch.setattr(sanity_checks, "load_model", lambda path: nets[path.stem])
    paths = []
    for name, table in tables.items():
        paths.append(tmp_path / f"{name}.parquet")
        write_table(paths[-1], table, Stamp("test", {}, "x"))
    out = tmp_path / "sanity_checks.parquet"
    data = tmp_path / "test.parquet"
    write_table(data, stored(*test_split()), Stamp("test", {}, "x"))
    spec = SanityChecks(obfuscated=("large", "coarse"), datasets=("stripes",))
    job = Job("sanity-checks", spec, "code", {"tables": paths, "data": [data], "models": paths}, {"out": [out]})
    sanity_checks.run(job)
    table = pq.read_table(out).to_pandas()
    assert table[~table["holds"] & (table["kind"] == "check")].empty
    assert len(table[~table["holds"] & (table["kind"] == "warning")]) >= 4
    # no mask excuses these
    names = ["finite", "box", "ball", "test images are attacked", "saved images give the saved predictions"]
    invariant = table[table["check"].isin(names)]
    assert len(invariant) > 4 * len(ATTACKS) and set(invariant["kind"]) == {"check"}


def test_targeted_attacks_are_not_compared(tables):
    rows = tables["large"]
    targeted = rows.set_column(rows.schema.get_field_index("target"), "target", [["random"] * rows.num_rows])
    assert list(compare_attacks(targeted)) == []


# --- transfers and inpainting ----------------------------------------------------------------------------------------


def transfer(errors, n=1000, eps=None, clean=0.02):
    """A matrix from {(source, target): error}."""
    same = {"study": "study", "source_seed": 0, "attack": "attack", "norm": "l2", "eps": eps, "rms": 0.1, "n": n}
    same |= {"amplified": False, "target_seed": 0, "clean_error": clean}
    measures = ("error", "error_low", "error_high", "error_rounded", "error_unaimed")
    rows = [
        {**same, "source": source, "target": target, **dict.fromkeys(measures, error)}
        for (source, target), error in errors.items()
    ]
    return arrow_table("transfer", {name: [row[name] for row in rows] for name in rows[0]})


def transferred(errors, constant=(), n=1000):
    """What the targets of a matrix say of the clean images: the truth, or of some targets always the same."""
    blank = {name: 0 if kind != "string" else "x" for name, kind in TABLES["transferred"].columns.items()}
    parts = []
    for source, target in errors:
        label = np.arange(n) % 10
        one = {**blank, "source": source, "target": target, "index": np.arange(n), "label": label, "amplified": False}
        parts.append(pd.DataFrame({**one, "predicted_clean": 3 if target in constant else label}))
    return arrow_table("transferred", pd.concat(parts).to_dict("list"))


SOUND = {("a", "a"): 1.0, ("a", "b"): 0.3, ("b", "a"): 0.2, ("b", "b"): 0.99}


def test_a_white_box_leads_its_row_and_column():
    checked = run_checks({"transfer": transfer(SOUND), "transferred": transferred(SOUND)}, STATISTICAL)
    assert len(checked) == 4
    assert all(check["holds"] and check["kind"] == "check" and "not paired" in check["detail"] for check in checked)


@pytest.mark.parametrize(("entry", "place"), [(("b", "a"), "column"), (("a", "b"), "row")])
def test_a_stronger_transfer_is_broken(entry, place):
    errors = {**SOUND, ("a", "a"): 0.5, entry: 0.7}
    assert broken(check_white_box(transfer(errors))) == {f"white box leads its {place}"}
    few = list(check_white_box(transfer(errors, n=100)))
    assert [one for one in few if not one["holds"]] == []  # 0.2 of 100 images may be chance
    assert any("; inconclusive: the 99.9 % interval includes 0; not paired" in one["detail"] for one in few)
    slight = {**errors, entry: 0.51}
    assert broken(check_white_box(transfer(slight))) == set()


@pytest.mark.parametrize("constant", ["a", "b"])
def test_a_target_at_chance_takes_no_part_in_a_transfer(constant):
    """A net that always says the same errs on nine of ten images, whatever is done to them."""
    errors = {("a", "a"): 0.5, ("a", "b"): 0.9, ("b", "a"): 0.9, ("b", "b"): 0.5}
    assert len(broken(check_white_box(transfer(errors), transferred(errors)))) == 2
    assert list(check_white_box(transfer(errors), transferred(errors, constant))) == []


def test_a_row_of_fixed_eps_is_only_flagged():
    checked = list(check_white_box(transfer({**SOUND, ("a", "a"): 0.5, ("a", "b"): 0.7}, eps=0.1)))
    assert broken(checked) == set()
    assert broken(checked, "warning") == {"white box leads its row"}


@pytest.mark.parametrize(("n", "kind"), [(MIN_WITHOUT_INTERVAL, "check"), (20, "warning")])
@pytest.mark.parametrize(("real", "holds"), [(1.0, True), (3.0, False)])
def test_real_images_are_the_lowest_rung(n, kind, real, holds):
    same = {"dataset": "mnist", "n": n, **dict.fromkeys(TABLES["calibration"].measured, 1.0)}
    same |= {"judge": "x", "judge_error": 0.0}
    calibration = arrow_table(
        "calibration", {**same, "level": ["blur 3×3", "real train"], "frechet_distance": [2.0, real]}
    )
    (check,) = check_calibration(calibration)
    assert (check["kind"], check["holds"], check["n"]) == (kind, holds, n)
    assert (check["subject"], check["source"]) == ("mnist", None)
    lowest = "'real train' at 1.0, next 2.0" if holds else "'blur 3×3' at 2.0, next 3.0"
    assert check["detail"].startswith(f"lowest level is {lowest}")


@pytest.mark.parametrize(
    ("failed", "holds"),
    [({}, True), ({"collapsed": True}, False), ({"vanishing": 0.6}, False), ({"overpowered": 0.9}, False)],
)
def test_gans_that_failed_get_a_flag(failed, holds):
    table = TABLES["gan_quality"]
    same = {name: "x" if kind == "string" else 0 for name, kind in table.columns.items()}
    same |= {"gan": "pair", "seed": [3], "n": 500, "classes": 9, "class_share": [[0.1] * 9 + [0.0]]}
    same |= {"vanishing": 0.1, "overpowered": 0.2, "collapsed": False}
    (check,) = run_checks({"gan_quality": arrow_table("gan_quality", {**same, **failed})}, STATISTICAL)
    assert (check["kind"], check["holds"], check["subject"]) == ("warning", holds, "pair seed 3")
    assert "9 of 10 classes over 1 %" in check["detail"]


@pytest.mark.parametrize(("step_size", "kind"), [(0.02, "check"), (0.005, "warning")])
def test_more_steps_count_only_if_they_lead_as_far(step_size, kind):
    short = {"kind": "pgd", "norm": "linf", "loss": "margin", "eps": 0.2, "steps": 10, "restarts": 1, "step_size": 0.04}
    facts = pd.DataFrame([short, {**short, "steps": 20, "step_size": step_size}], index=["short", "long"])
    (found,) = compare_effort(facts)
    assert (found.strong, found.weak, found.kind) == (["long"], ["short"], kind)
