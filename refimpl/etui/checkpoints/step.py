"""A step of a series: an artifact that shares its bytes with the others, and what its record says (SPEC.md annex Q)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from etui import artifact
from etui.checkpoints.exporting import export_parts
from etui.checkpoints.records import Record
from etui.checkpoints.step_reader import StepReader
from etui.model import Model
from etui.notebooks import InNotebooks
from etui.shortage import shortage
from etui.storage import create_artifact

if TYPE_CHECKING:
    from etui.checkpoints.series import Series
    from etui.containers.data_writer import Progress
    from etui.storage import Target
    from etui.storage.base import Form


@dataclass(frozen=True, slots=True)
class Step(InNotebooks):
    """A step of a series. Two are equal if they have the same number, identity and time.

    Attributes:
        number: of the step.
        identity: of its artifact: the digest of the manifest.
        time: when it was saved, in UTC: a text of RFC 3339.
        metrics: name -> number, as `Series.save` got them.
        layouts: data part -> digest of its layout.
        series: that it belongs to.
        new_bytes: bytes that its save wrote; `None` for a step that this `Series` object did not save.
    """

    number: int
    identity: str
    time: str
    metrics: Mapping[str, float] = field(compare=False)
    layouts: Mapping[str, str] = field(compare=False, repr=False)
    series: Series = field(compare=False, repr=False)
    new_bytes: int | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Bytes of all parts of the artifact, whether or not they are shared.

        Raises:
            RejectError: the step is damaged.
            StorageError: it cannot be read.
        """
        with self.reader() as reader:
            return sum(reader.names().values())

    def open(self, *, verify: bool = True) -> Model:
        """Open the artifact, as `etui.open` does; the model is valid until the step is removed or replaced.

        Args:
            verify: check each tensor's digest when it is first read.

        Raises:
            RejectError: the step is damaged.
            StorageError: it cannot be read; ``out-of-memory``.
        """
        with shortage():
            return artifact.load(self.reader(), verify=verify, limits=self.series.limits)

    def reader(self) -> StepReader:
        """The step as an `ArtifactReader`: parts by name.

        Raises:
            RejectError: the step is damaged.
            StorageError: it cannot be read.
        """
        record = Record(self.number, self.identity, self.layouts, self.metrics, self.time)
        return StepReader(self.series.store, record, self.series.limits)

    def export(
        self,
        target: Target,
        form: Form | None = None,
        shard_size: int | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Write the step as an artifact of its own, in one transaction; every byte is checked on the way.

        Args:
            target: as `etui.save` takes it.
            form: ``"packed"`` or ``"directory"``; by default what the target's name says.
            shard_size: bytes of data in one data part at most; by default the parts stay as they are, and so does the
                identity.
            progress: called while data is written.

        Returns:
            The identity.

        Raises:
            RejectError: the step is damaged.
            StorageError: it cannot be read, or the target not written; what was at the target is as it was.
        """
        limits = self.series.limits
        if shard_size is not None:
            with self.open() as model:
                return artifact.save_model(
                    model, target, form=form, shard_size=shard_size, progress=progress, limits=limits
                )
        with shortage(), self.reader() as reader, create_artifact(target, form, limits=limits) as writer:
            identity = export_parts(reader, writer, progress, limits)
            writer.commit()
        return identity
