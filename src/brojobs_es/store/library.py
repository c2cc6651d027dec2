"""Lets an application of the event sourcing library run on our log: `PERSISTENCE_MODULE=brojobs_es.store.library`.

Reads `BROJOBS_DATABASE_URL` and, for the number of the log, `BROJOBS_LOG` (0).
"""

from __future__ import annotations

from typing import Any, NoReturn

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType

from brojobs_es.store.recorder import Datastore, PostgresRecorder


class LogFactory(InfrastructureFactory[TrackingRecorder]):
    """Makes recorders over one log. Snapshots and the library's own trackings have no place there."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        url = self.env.get("BROJOBS_DATABASE_URL")
        if not url:
            raise InfrastructureFactoryError("BROJOBS_DATABASE_URL is not set")
        self._datastore = Datastore(url, int(self.env.get("BROJOBS_LOG") or 0))

    def application_recorder(self) -> ApplicationRecorder:
        """The log."""
        return PostgresRecorder(self._datastore)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Refused: a snapshot is no event."""
        self._refuse(f"aggregate recorder for {purpose}")

    def tracking_recorder(self, tracking_recorder_class: type[Any] | None = None) -> Any:
        """Refused: our views keep their own tracking."""
        self._refuse(tracking_recorder_class.__name__ if tracking_recorder_class else "tracking recorder")

    def process_recorder(self) -> ProcessRecorder:
        """Refused: our views keep their own tracking."""
        self._refuse("process recorder")

    def close(self) -> None:
        """Close all connections."""
        self._datastore.close()

    def _refuse(self, what: str) -> NoReturn:
        raise InfrastructureFactoryError(f"{type(self).__name__} makes no {what}")
