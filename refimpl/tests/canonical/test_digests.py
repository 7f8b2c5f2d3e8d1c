"""Digest strings."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import digest
from etui.errors import InvalidError, UnsupportedError

HEX = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.clause("H-2@32a072", "H-4@95fcbc")
def test_the_sample_of_fips_180() -> None:
    """The digest of `abc` is the one that FIPS 180-4 publishes, by SHA-256 unless asked for another algorithm."""
    assert digest.of(b"abc") == f"sha256:{HEX}"


@pytest.mark.clause("H-1@34f64c")
@given(st.binary())
def test_digests_are_written_as_algorithm_and_lowercase_hex(data: bytes) -> None:
    """A digest is the algorithm, a colon and all its digits, and reads back as the two."""
    text = digest.of(data)
    assert digest.parse(text, "x") == ("sha256", hashlib.sha256(data).hexdigest())


@pytest.mark.clause("H-1@34f64c")
@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256", "sha256:", HEX, f"sha256:{HEX[:-1]}", f"sha256:{HEX}0", f"sha256:{HEX.upper()}", None, 5),
        *(
            f"SHA256:{HEX}",
            f"sha-256:{HEX}",
            f" sha256:{HEX}",
            f"sha256:{HEX}\n",
            f"sha256::{HEX}",
            f"sha256:{HEX[:-1]}g",
        ),
    ],
)
def test_other_forms_are_refused(text: object) -> None:
    """Upper case, missing or surplus digits, white space and what is no text are refused."""
    with pytest.raises(InvalidError, match="digest-form"):
        digest.parse(text, "weights.json")


@pytest.mark.clause("H-3@effdac")
@pytest.mark.parametrize("text", ["blake3:af1349b9", "md5:d41d8cd98f00b204e9800998ecf8427e", f"sha512:{HEX * 2}"])
def test_unknown_algorithms_are_refused(text: str) -> None:
    """An algorithm that the reader lacks is refused, never skipped."""
    with pytest.raises(UnsupportedError, match="digest-algorithm"):
        digest.parse(text, "x")
    with pytest.raises(UnsupportedError, match="digest-algorithm"):
        digest.new(text.partition(":")[0])
