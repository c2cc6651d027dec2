"""BroJobs order lifecycle: orders, escrow and disputes as immutable events."""

__version__ = "0.1.0"
