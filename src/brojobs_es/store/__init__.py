"""The store: logs of events on PostgreSQL, what reads them in order, and the tables folded from them."""
