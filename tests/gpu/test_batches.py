"""How many images are computed at once follows a GPU's memory; on the CPU it never changes, for it changes bits."""

import pytest
import torch
from tests.gpu import device
from tests.gpu.device import CUDA, PretendedGpu
from torch import nn

from advgen import registry
from advgen.attacks.run import craft
from advgen.inversion.search import search
from advgen.io.checkpoints import build
from advgen.models.predict import predict, scale_batch_size
from advgen.specs.generators import FcGenerator
from advgen.specs.searches import LatentSearch


class Counting(nn.Module):
    """Notes how many images it is shown at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.sizes = nn.Linear(4, 3), list[int]()

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x_BCHW))
        return self.layer(x_BCHW.flatten(1))


@pytest.mark.parametrize(("gigabytes", "rows"), [(2, 500), (4, 500), (16, 2000), (80, 10000)])
def test_the_whole_memory_counts(gigabytes: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "MEMORY", gigabytes * 2**30)
    with PretendedGpu():
        assert scale_batch_size(500, CUDA) == rows
    assert scale_batch_size(500, torch.device("cpu")) == 500


def test_images_are_judged_and_attacked_in_larger_batches_on_a_gpu() -> None:
    model, images = Counting().eval(), torch.rand(2100, 1, 2, 2)
    predict(model, images)
    assert model.sizes == [500, 500, 500, 500, 100]
    model.sizes.clear()
    spec = registry.parse("attacks", {"kind": "gaussian_noise"})
    labels, indices = torch.zeros(1100, dtype=torch.long), list(range(1100))
    with PretendedGpu():
        model.to(CUDA)
        predict(model, images)
        assert model.sizes == [2000, 100]
        model.sizes.clear()
        craft(registry.resolve(spec), model, images[:1100], labels, spec, seed=0, indices=indices)
        assert set(model.sizes) == {1000, 500, 100}  # clean ones in other batches


def test_latent_vectors_are_searched_in_larger_batches_on_a_gpu() -> None:
    generator = build("generators", FcGenerator(kind="fc", latent=2, hidden=(3,), image=(1, 2, 2))).eval()
    spec = LatentSearch(steps=1, starts=1)

    def batches(rows: int) -> int:
        """How many there are: each tells its one step."""
        totals = list[int]()
        images, indices = torch.rand(rows, 1, 2, 2), list(range(rows))
        search(generator, images, spec, seed=0, indices=indices, progress=lambda done, total: totals.append(total))
        return totals[-1]

    assert [batches(512), batches(513)] == [1, 2]
    with PretendedGpu():
        generator.to(CUDA)
        assert [batches(2048), batches(2049)] == [1, 2]
