"""What every store of jobs does, one behaviour a test, through the interface alone.

The test file of a store inherits `StoreContract` and has these fixtures: `clock`; `store`, which is empty and uses that
clock; and those that damage what is stored, `poison`, `spoil_results`, `spoil_version` and
`spoil_window`.
"""

from __future__ import annotations

from tests.unit.jobs.store.contract.callers import CallerContract, LimitContract, TurnContract
from tests.unit.jobs.store.contract.deliveries import DeliveryContract
from tests.unit.jobs.store.contract.jobs import AcceptanceContract, CommandContract, QueryContract
from tests.unit.jobs.store.contract.maintenance import MaintenanceContract
from tests.unit.jobs.store.contract.queue import ClaimContract, ProgressContract, SharedWorkContract
from tests.unit.jobs.store.contract.unreadable import UnreadableContract
from tests.unit.jobs.store.contract.versions import VersionContract


class StoreContract(
    AcceptanceContract,
    QueryContract,
    CommandContract,
    VersionContract,
    CallerContract,
    TurnContract,
    LimitContract,
    ClaimContract,
    ProgressContract,
    SharedWorkContract,
    DeliveryContract,
    MaintenanceContract,
    UnreadableContract,
):
    """Every behaviour of a store."""
