"""What is known of each data set for classification: files, digests, official address, licence, whom to cite.

The cards in the folder `datasets` of the repository say the same at more length. Digests are of the *uncompressed*
bytes, where they are known: the wrapper differs between mirrors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neurotorch.data.labels import Part

Kind = Literal["images", "spike trains", "braille"]


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Parameters
    ----------
    name : str
        Its name when uncompressed.
    part : "train", "validation", "test" or None
        The part it holds; None: all.
    digest : str or None
        Of the uncompressed bytes, such as "md5:..."; None where it is not known.
    address : str or None
        Where it can be had; None: nowhere, in this form.
    archive_digest : str or None
        Of the bytes at `address`, where that is what was published.
    """

    name: str
    part: Part | None
    digest: str | None = None
    address: str | None = None
    archive_digest: str | None = None


@dataclass(frozen=True)
class Card:
    """A data set.

    Parameters
    ----------
    name : str
        Its name in the catalog.
    title : str
        Its name in the literature.
    kind : "images", "spike trains" or "braille"
        How its files are read.
    folder : str
        The subfolder it is looked for in.
    address : str
        Its official page.
    licence, citation : str
        As its authors state them.
    classes : tuple of str or None
        Names of the classes; None: the files tell.
    files : tuple of DataFile
        Images come before their labels.
    """

    name: str
    title: str
    kind: Kind
    folder: str
    address: str
    licence: str
    citation: str
    classes: tuple[str, ...] | None
    files: tuple[DataFile, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts there are; a data set without official parts is divided into "train" and "test" by us."""
        return tuple(dict.fromkeys(file.part for file in self.files if file.part)) or ("train", "test")

    def of(self, part: Part) -> tuple[DataFile, ...]:
        """Return the files that hold a part."""
        return tuple(file for file in self.files if file.part in (part, None))


def _idx(base: str, digests: tuple[str, str, str, str]) -> tuple[DataFile, ...]:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    parts: tuple[Part, ...] = ("train", "train", "test", "test")
    return tuple(
        DataFile(name, part, f"md5:{digest}", f"{base}{name}.gz")
        for name, part, digest in zip(names, parts, digests, strict=True)
    )


def _zenke(name: str, part: Part, archive: str) -> DataFile:
    return DataFile(name, part, None, f"https://zenkelab.org/datasets/{name}.zip", f"md5:{archive}")


HEIDELBERG = (
    "Cramer, Stradmann, Schemmel and Zenke (2020), The Heidelberg spiking data sets for the systematic evaluation of "
    "spiking neural networks, IEEE Transactions on Neural Networks and Learning Systems, "
    "doi:10.1109/TNNLS.2020.3044364"
)
HEIDELBERG_PAGE = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/"

CARDS = (
    Card(
        "mnist",
        "MNIST",
        "images",
        "mnist",
        "http://yann.lecun.com/exdb/mnist/",
        "CC BY-SA 3.0",
        "LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition, "
        "Proceedings of the IEEE 86(11), doi:10.1109/5.726791",
        tuple("0123456789"),
        # The mirror of torchvision: the official page no longer hands the files out.
        _idx(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            (
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        ),
    ),
    Card(
        "fashion-mnist",
        "Fashion-MNIST",
        "images",
        "fashion_mnist",
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
        "Xiao, Rasul and Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, arXiv:1708.07747",
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
        _idx(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            (
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a",
                "15d484375f8d13e6eb1aabb0c3f46965",
            ),
        ),
    ),
    Card(
        "heidelberg",
        "Spiking Heidelberg Digits",
        "spike trains",
        "heidelberg",
        HEIDELBERG_PAGE,
        "CC BY 4.0",
        HEIDELBERG,
        None,
        # Digests of the archives as tonic and SpikingJelly state them; not checked by us on real bytes.
        (
            _zenke("shd_train.h5", "train", "f3252aeb598ac776c1b526422d90eecb"),
            _zenke("shd_test.h5", "test", "1503a5064faa34311c398fb0a1ed0a6f"),
        ),
    ),
    Card(
        "speech-commands",
        "Spiking Speech Commands",
        "spike trains",
        "speech_commands",
        HEIDELBERG_PAGE,
        "CC BY 4.0",
        HEIDELBERG,
        None,
        (
            _zenke("ssc_train.h5", "train", "d102be95e7144fcc0553d1f45ba94170"),
            _zenke("ssc_valid.h5", "validation", "b4eee3516a4a90dd0c71a6ac23a8ae43"),
            _zenke("ssc_test.h5", "test", "a35ff1e9cffdd02a20eb850c17c37748"),
        ),
    ),
    Card(
        "spoken-digits",
        "spoken digits as spikes",
        "spike trains",
        "speech_spikes",
        "https://doi.org/10.5281/zenodo.1342401",
        "CC BY-SA 4.0",
        "Jackson et al., Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401; for the layout " + HEIDELBERG,
        None,
        (
            DataFile(
                "fsdd700_train.h5", "train", "sha256:a81d6f8f9d7528be19c5e6ed1d5f92e607918309d1a9f931f2a6b25682daea1a"
            ),
            DataFile(
                "fsdd700_test.h5", "test", "sha256:1eb734b694c13aff6b1ba6db23873f1635589cd2210af4037ab5b5ef536b5db6"
            ),
        ),
    ),
    Card(
        "braille",
        "Braille letters",
        "braille",
        "braille",
        "https://doi.org/10.3389/fnins.2022.951164",
        "CC BY 4.0",
        "Müller-Cleve et al. (2022), Braille letter reading: a benchmark for spatio-temporal pattern recognition on "
        "neuromorphic hardware, Frontiers in Neuroscience 16, 951164, doi:10.3389/fnins.2022.951164",
        None,
        (
            DataFile(
                "braille_taxels.npz", None, "sha256:8519d589c5c2c35293b5d54a4bebe6f7c02450f8dda35ce53443cfcd817b8c08"
            ),
        ),
    ),
)
