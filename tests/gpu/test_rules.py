"""The pretended GPU obeys the rules of eager CUDA, as torch documents them."""

import re

import numpy as np
import pytest
import torch
from tests.gpu.device import CUDA, DOCUMENTED, UNORDERED, PretendedGpu

DEVICE = "cuda:0"


@pytest.fixture
def gpu():
    with PretendedGpu():
        yield torch.arange(6.0).view(1, 1, 2, 3).to(DEVICE)


def test_it_says_that_it_is_one(gpu):
    assert gpu.device == CUDA and gpu.is_cuda and (gpu + 1).device == CUDA
    assert torch.zeros(2, device=DEVICE).device == CUDA
    assert torch.zeros_like(gpu).device == CUDA
    assert gpu.cpu().device.type == "cpu"
    assert gpu.add_(1) is gpu and gpu.sum().item() == 21


@pytest.mark.parametrize("join", [torch.stack, torch.cat])
def test_joining_wants_one_device_for_scalars_too(gpu, join):
    with pytest.raises(RuntimeError, match="same device"):
        join(
            [
                gpu.sum().view(()) if join is torch.stack else gpu.flatten(),
                torch.zeros(() if join is torch.stack else 1),
            ]
        )


def test_operands_lie_on_one_device_but_for_cpu_scalars(gpu):
    assert (gpu * torch.tensor(2.0)).device == CUDA
    with pytest.raises(RuntimeError, match="same device"):
        gpu * torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3) @ gpu[0, 0].T
    with pytest.raises(RuntimeError, match="same device"):
        torch.tensor(2.0).add_(gpu.sum())


def test_indices_may_lie_on_the_cpu_but_not_those_of_a_cpu_tensor_on_the_device(gpu):
    assert gpu[torch.tensor([0])].device == CUDA
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(6)[gpu.flatten().long()]


def test_numpy_is_refused(gpu):
    for refused in (gpu.numpy, lambda: np.asarray(gpu)):
        with pytest.raises(TypeError, match="numpy"):
            refused()


def test_kernels_that_are_not_deterministic_are_refused(gpu):
    grid = torch.zeros(1, 2, 2, 2, device=DEVICE, requires_grad=True)
    seen = torch.nn.functional.grid_sample(gpu, grid, align_corners=False)
    with pytest.raises(RuntimeError, match="deterministic"):
        seen.sum().backward()
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.nn.functional.cross_entropy(gpu[0].transpose(1, 2), torch.zeros(1, 2, dtype=torch.long, device=DEVICE))
    assert torch.nn.functional.cross_entropy(gpu[0, 0], torch.zeros(2, dtype=torch.long, device=DEVICE)).device == CUDA


def test_it_refuses_what_the_documentation_of_torch_lists():
    text = torch.use_deterministic_algorithms.__doc__
    _, _, listed = text.partition("will throw a\n    :class:`RuntimeError` when ``mode=True``:")
    bullets = re.findall(r"^ {8}\* :\w+:`([\w.]+)`", listed, re.MULTILINE)
    assert len(bullets) > 20
    assert set(DOCUMENTED) == set(bullets)
    assert all(hasattr(torch.ops.aten, name) for name in UNORDERED)


@pytest.mark.parametrize(
    "refused",
    [
        lambda x: torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic").sum().backward(),
        lambda x: torch.nn.functional.adaptive_avg_pool2d(x, 2).sum().backward(),
        lambda x: torch.nn.ReflectionPad2d(1)(x).sum().backward(),
        lambda x: x.median(0),
        lambda x: torch.histc(x),
        lambda x: torch.bincount(x.flatten().long(), x.flatten()),
        lambda x: x.flatten().kthvalue(2),
        lambda x: x.flatten().scatter_reduce(0, x.flatten().long(), x.flatten(), "prod"),
        lambda x: x.detach().put_(torch.zeros(1, dtype=torch.long, device=DEVICE), x.flatten()[:1]),
    ],
)
def test_an_operation_without_deterministic_kernel_is_refused(gpu, refused):
    with pytest.raises(RuntimeError, match="deterministic"):
        refused(gpu.requires_grad_() if gpu.is_floating_point() else gpu)


def test_a_generator_lies_where_the_numbers_are_drawn(gpu):
    with pytest.raises(RuntimeError, match="'cuda' device type for generator"):
        torch.rand(2, device=DEVICE, generator=torch.Generator())
    with pytest.raises(RuntimeError, match="'cuda' device type for generator"):
        gpu.normal_(generator=torch.Generator())
    assert torch.rand(2, generator=torch.Generator()).device.type == "cpu"
    assert torch.rand_like(gpu).device == CUDA


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 3),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.nonzero(),
        lambda x: x[x > 1],
        lambda x: x.__setitem__(x > 3, torch.ones(2, device=DEVICE)),
        lambda x: x[..., torch.zeros(1, dtype=torch.long)],
        lambda x: x.copy_(torch.ones(2, 3)),
        lambda x: torch.ones(2).to(x),
        lambda x: x.new_tensor([1.0]),
        lambda x: torch.equal(x, x),
        lambda x: x.unique(),
    ],
)
def test_the_host_waits_once(gpu, waiting):
    before = PretendedGpu.now.syncs.total()
    waiting(gpu)
    assert PretendedGpu.now.syncs.total() == before + 1, PretendedGpu.now.syncs


def test_the_host_does_not_wait_for_what_it_need_not_know(gpu):
    before = PretendedGpu.now.syncs.total()
    rows = torch.arange(2, device=DEVICE)
    gpu[..., rows], gpu.masked_fill_(gpu > 3, 0.0), torch.where(gpu > 1, gpu, 0.0), gpu.sort(), gpu * 2 + 1
    gpu[gpu > 1] = 0.0
    gpu[..., 0] = 1
    torch.ones(2).to(DEVICE, non_blocking=True)
    assert PretendedGpu.now.syncs.total() == before


def test_a_copy_to_the_cpu_that_nobody_waits_for_is_refused(gpu):
    with pytest.raises(AssertionError, match="before it has arrived"):
        gpu.to("cpu", non_blocking=True)


@pytest.mark.parametrize(
    ("work", "launches"),
    [
        (lambda x: x + 1, 1),
        (lambda x: (x + 1).relu().sum(), 3),
        (lambda x: x.view(6)[2:].unsqueeze(0).expand(3, -1).detach(), 0),
        (lambda x: torch.empty_like(x), 0),
        (lambda x: x.clone(), 1),
        (lambda x: x.double(), 1),
        (lambda x: torch._foreach_add_([x, x.clone()], 1), 2),
    ],
)
def test_an_operation_that_is_no_view_is_a_launch(gpu, work, launches):
    before = PretendedGpu.now.launches
    work(gpu)
    assert PretendedGpu.now.launches == before + launches
