"""What every store of jobs does, one behaviour a test, through the interface alone.

The test file of a store inherits `StoreContract` and has two fixtures: `clock`, and `store`, which is empty and uses
that clock.
"""

from __future__ import annotations

from tests.unit.jobs.store.contract.callers import CallerContract, LimitContract, TurnContract
from tests.unit.jobs.store.contract.deliveries import DeliveryContract
from tests.unit.jobs.store.contract.jobs import AcceptanceContract, CommandContract, QueryContract
from tests.unit.jobs.store.contract.maintenance import MaintenanceContract
from tests.unit.jobs.store.contract.queue import ClaimContract, ProgressContract, SharedWorkContract


class StoreContract(
    AcceptanceContract,
    QueryContract,
    CommandContract,
    CallerContract,
    TurnContract,
    LimitContract,
    ClaimContract,
    ProgressContract,
    SharedWorkContract,
    DeliveryContract,
    MaintenanceContract,
):
    """Every behaviour of a store."""
