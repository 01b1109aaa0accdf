"""One GET of a live subscription, watched: its answer, and all that the answer depends on."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.touched import Observed, Varies, likeness
from wsrequest.livequery.tracking import Reads, reading


class Look:
    """What ``call`` will read of the database, and of its request."""

    __slots__ = ("bearing", "call", "mark", "reads")

    def __init__(self, call: Call, bearing: Hashable, mark: int, *, rerun: bool = False) -> None:
        """``bearing``: the credentials that the call was made with. ``mark``: the number of the last change that was
        heard before. ``rerun``: nobody has asked for it, so what it writes by itself changes nothing."""
        self.call = call
        self.bearing = bearing
        self.mark = mark
        self.reads = Reads(rerun=rerun)
        call.observed = Observed(partial(reading, self.reads))

    def audience(self, varies: Varies) -> Hashable:
        """For whom the answer does, if that is what it varies by."""
        return likeness(varies, self.call)
