"""The views: everything that people see is a fold of events."""

from __future__ import annotations

from typing import Any, Final

from brojobs_es.projections.chat_lock import ChatLockView
from brojobs_es.projections.deadlines import DeadlinesView
from brojobs_es.projections.docket import DocketView
from brojobs_es.projections.escrow import EscrowView
from brojobs_es.projections.order_summary import OrderSummaryView
from brojobs_es.projections.view import View

VIEWS: Final[tuple[View[Any], ...]] = (ChatLockView(), EscrowView(), OrderSummaryView(), DeadlinesView(), DocketView())
"""Every view that has a table."""
