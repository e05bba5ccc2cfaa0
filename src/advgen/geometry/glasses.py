"""The frame of a pair of glasses, for the mask and for checks of a study without torch."""


def glasses_frame(shape: tuple[int, int, int], thickness: float) -> set[tuple[int, int]]:
    """Return row and column of each pixel of the frame: two rims and a bridge, scaled to the image.

    Args:
        shape: channels, height and width.
        thickness: thickness of the frame as a fraction of the width, at least one pixel.
    """
    _, height, width = shape
    line = max(1, round(thickness * width))
    top, bottom = round(0.2 * height), round(0.5 * height)
    frame = set()
    for left, right in ((0.06, 0.44), (0.56, 0.94)):
        rows, columns = range(top, bottom), range(round(left * width), round(right * width))
        rim = {*rows[:line], *rows[-line:]}, {*columns[:line], *columns[-line:]}
        frame |= {(row, column) for row in rows for column in columns if row in rim[0] or column in rim[1]}
    bridge = range((top + bottom - line) // 2, (top + bottom - line) // 2 + line)
    frame |= {(row, column) for row in bridge for column in range(round(0.44 * width), round(0.56 * width))}
    return {(row, column) for row, column in frame if 0 <= row < height}
