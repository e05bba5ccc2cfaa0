"""Presets: models with names."""

from typing import Any

from advgen.specs.autoencoders import ConvAutoencoder, FcAutoencoder
from advgen.specs.generators import FcGenerator, TransposedConvGenerator
from advgen.specs.networks import ConvNetwork, FcNetwork


def _face_generator(width: int, **keys: Any) -> TransposedConvGenerator:
    """Return a DCGAN generator of 64×64 colour images with `width` channels before the last layer."""
    channels = (4 * width, 2 * width, width)
    return TransposedConvGenerator(
        kind="transposed_conv", start=(8 * width, 4, 4), channels=channels, image_channels=3, **{"latent": 100, **keys}
    )


def _face_discriminator(width: int, **keys: Any) -> ConvNetwork:
    """Return the mirrored DCGAN discriminator with `width` channels after the first layer."""
    return ConvNetwork(
        kind="conv",
        image=FACE,
        channels=(width, 2 * width, 4 * width, 8 * width),
        kernel=4,
        stride=2,
        padding=1,
        pool=1,
        **{"activation": "leaky_relu", "batch_norm": True, **keys},
    )


def _discriminator(channels: tuple[int, ...], **keys: Any) -> ConvNetwork:
    """Return strided convolutions with leaky ReLU, for small grey images."""
    return ConvNetwork(
        kind="conv", channels=channels, kernel=4, stride=2, padding=1, pool=1, **{"activation": "leaky_relu", **keys}
    )


def _madry(scale: int) -> ConvNetwork:
    """Return a network of the capacity series of Madry et al. (2018); 16 is that of their MNIST challenge."""
    return ConvNetwork(kind="conv", channels=(2 * scale, 4 * scale), hidden=(64 * scale,))


FACE = (3, 64, 64)
# M1 and M3 are models of the report that started the generative experiments. For its other numbers it only states the
# data set, so they vary what it says was varied: heads, channels, dropout, batch norm and depth. Models for digits also
# fit other image shapes.
PRESETS: dict[str, dict[str, Any]] = {
    "generators": {
        "M1": TransposedConvGenerator(
            kind="transposed_conv",
            latent=50,
            hidden=(256, 512),
            start=4,
            channels=(16, 8),
            kernel=5,
            stride=1,
            padding=0,
        ),
        "M2": FcGenerator(kind="fc", latent=50, hidden=(256, 512, 1024)),
        "M5": TransposedConvGenerator(kind="transposed_conv", latent=50, hidden=(256,), start=16, channels=(8,)),
        "M7": TransposedConvGenerator(kind="transposed_conv", latent=50, hidden=(256, 512), start=64, channels=(32,)),
        "M9": FcGenerator(kind="fc", latent=50, hidden=(128, 256), activation="relu"),
        "dcgan-generator": TransposedConvGenerator(kind="transposed_conv", latent=64, start=64, channels=(32,)),
        "M11": _face_generator(32),
        "M13": _face_generator(16),
        "M15": _face_generator(64),
        "M17": _face_generator(32, batch_norm=False),
        "M19": _face_generator(32, start_norm=True),
        "M21": _face_generator(32, hidden=(512,)),
        "M23": _face_generator(32, skip_latent=True),
        "M25": FcGenerator(kind="fc", latent=100, hidden=(512, 1024, 2048), image=FACE),
        "M27": TransposedConvGenerator(
            kind="transposed_conv", latent=100, start=(256, 8, 8), channels=(128, 64), image_channels=3
        ),
        "dcgan-faces-generator": _face_generator(64, start_norm=True),
    },
    "networks": {
        "M3": FcNetwork(kind="fc", hidden=(1024, 512, 256), activation="leaky_relu", dropout=0.3),
        "M4": FcNetwork(kind="fc", hidden=(1024, 512, 256), activation="leaky_relu"),
        "M6": _discriminator((16, 32)),
        "M8": _discriminator((32, 64), dropout=0.3),
        "M10": _discriminator((64, 128), batch_norm=True),
        "dcgan-discriminator": _discriminator((32, 64), batch_norm=True),
        "M12": _face_discriminator(32),
        "M14": _face_discriminator(16),
        "M16": _face_discriminator(64),
        "M18": _face_discriminator(32, batch_norm=False),
        "M20": _face_discriminator(32, batch_norm=False, dropout=0.3),
        "M22": _face_discriminator(32, hidden=(256,)),
        "M24": _face_discriminator(16, batch_norm=False, dropout=0.3),
        "M26": FcNetwork(kind="fc", image=FACE, hidden=(1024, 512, 256), activation="leaky_relu", dropout=0.3),
        "M28": ConvNetwork(
            kind="conv",
            image=FACE,
            channels=(64, 128, 256),
            kernel=5,
            stride=2,
            padding=2,
            pool=1,
            activation="leaky_relu",
        ),
        "FC10": FcNetwork(kind="fc"),
        "FC100-100-10": FcNetwork(kind="fc", hidden=(100, 100), activation="sigmoid"),
        "FC200-200-10": FcNetwork(kind="fc", hidden=(200, 200), activation="sigmoid"),
        "FC123-456-10": FcNetwork(kind="fc", hidden=(123, 456), activation="sigmoid"),
        "cnn": ConvNetwork(kind="conv", channels=(16, 32), hidden=(100,)),
        "madry-1": _madry(1),
        "madry-2": _madry(2),
        "madry-4": _madry(4),
        "madry-8": _madry(8),
        "madry-16": _madry(16),
        "judge-cnn": ConvNetwork(kind="conv", channels=(16, 32), hidden=(128,), dropout=0.25),
        "judge-fc": FcNetwork(kind="fc", hidden=(400, 100), dropout=0.2),
        "encoder-cnn": ConvNetwork(kind="conv", channels=(32, 64), hidden=(256,)),
    },
    "autoencoders": {
        "conv-autoencoder": ConvAutoencoder(kind="conv"),
        "AE400": FcAutoencoder(kind="fc", latent=400),
    },
}
