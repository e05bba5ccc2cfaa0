"""Sizes of feature maps, for networks and for checks of a study without torch."""


def conv_sizes(side: int, layers: int, kernel: int, stride: int, padding: int, pool: int = 1) -> list[int]:
    """Return the side in pixels before the first and after each convolution with its pooling."""
    sizes = [side]
    for _ in range(layers):
        sizes.append(((sizes[-1] + 2 * padding - kernel) // stride + 1) // pool)
    return sizes


def transposed_sizes(side: int, layers: int, kernel: int, stride: int, padding: int) -> list[int]:
    """Return the side in pixels before the first and after each transposed convolution."""
    sizes = [side]
    for _ in range(layers):
        sizes.append((sizes[-1] - 1) * stride - 2 * padding + kernel)
    return sizes


def transposed_start(side: int, layers: int, kernel: int, stride: int, padding: int) -> int | None:
    """Return the side in pixels from which transposed convolutions lead to `side`; None if there is none."""
    for _ in range(layers):
        steps, rest = divmod(side + 2 * padding - kernel, stride)
        side = steps + 1
        if rest or side < 1:
            return None
    return side
