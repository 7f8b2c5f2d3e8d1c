"""Writing an artifact as a step of a series: what is new becomes objects, and the record is the commit."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from etui import digest
from etui.checkpoints import layouts
from etui.checkpoints.data_objects import OBJECT_BYTES, DataObjects, Known, Place, ranges
from etui.checkpoints.layouts import Layout
from etui.containers.data_writer import DataPlan, Progress, WrittenData
from etui.containers.manifest import SAFETENSORS, PartEntry
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.objects import ObjectStore
from etui.storage.part_names import MANIFEST
from etui.storage.safetensors import plan as plan_part
from etui.storage.writing import CheckedWriter, Content


class StepWriter(CheckedWriter):
    """An `ArtifactWriter` of one step.

    Args:
        store: takes the objects.
        known: what is in the series for sure.
        publish: is called by `commit` when everything is durable, with the identity and the layouts; makes the record.
        limits: the limits in force.
    """

    def __init__(
        self,
        store: ObjectStore,
        known: Known,
        publish: Callable[[str, dict[str, str]], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__("series", store.location, limits)
        self._store = store
        self._publish_record = publish
        self._data = DataObjects(store, known)
        self._needed: set[str] = set()
        self._layouts: dict[str, str] = {}
        self._identity = ""
        self._small: dict[str, tuple[str, int]] = {}

    @property
    def new_bytes(self) -> int:
        """Bytes of objects that were written."""
        return self._data.new_bytes

    def known(self) -> Known:
        """What the series holds for sure since the commit."""
        sizes = self._data.objects
        return Known({name: sizes[name] for name in self._needed}, self._small)

    def write_data(
        self, data: DataPlan, progress: Progress | None = None, done: int = 0, total: int = 0
    ) -> WrittenData:
        """Store planned data parts; takes and gives what `containers.data_writer.write_data` does."""
        written = WrittenData()
        placed: dict[str, list[Place]] = {}
        part = ""

        def settled(size: int) -> None:
            nonlocal done
            done += size
            if progress is not None:
                progress(part, done, total)

        self._data.settled = settled
        for part, items in sorted(data.shards.items()):
            self._check(part, "data")
            layout = plan_part([(item.stored, item.dtype, item.piece.shape) for item in items])
            by_name = {item.stored: item for item in items}
            placed[part] = [self._data.add(by_name[name]) for name in layout.entries]
            header = layout.header
            value = digest.of(header)
            self._keep(value, [header])
            written.entries[part] = PartEntry(
                "data", SAFETENSORS, layout.size, header_size=len(header), header_digest=value
            )
            self._written += 1
        self._data.finish()
        self._data.compact(placed.values())
        for part, places in placed.items():
            found = Layout.of(ranges(places))
            content = layouts.encode(found)
            self._layouts[part] = digest.of(content)
            self._keep(self._layouts[part], [content])
            self._needed.update(found.objects)
            for place in places:
                written.digests[place.item.stored] = place.digest
                if 0 < place.item.nbytes < OBJECT_BYTES:
                    self._small[place.digest] = (place.object, place.offset)
        return written

    def _keep(self, value: str, views: list[bytes] | list[memoryview]) -> None:
        self._needed.add(value)
        self._data.keep(value, sum(len(view) for view in views), views)

    def _put(self, part: Content) -> None:
        views = list(part.data)
        hasher = digest.new()
        for view in views:
            hasher.update(view)
        value = f"{digest.DEFAULT_ALGORITHM}:{hasher.hexdigest()}"
        self._keep(value, views)
        if part.name == MANIFEST:
            self._identity = value

    def _publish(self) -> None:
        self._data.finish()
        self._store.flush()
        self._publish_record(self._identity, self._layouts)

    def _abort(self) -> None:
        """What was stored stays, as another writer may refer to it by now; it is garbage if no record does."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._data.__exit__(kind, value, trace)
        finally:
            super().__exit__(kind, value, trace)
