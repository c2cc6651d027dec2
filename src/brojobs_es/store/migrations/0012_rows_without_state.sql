-- A view's row is made from its order's events and from nothing else: what it is folded from lies in the log, and is not
-- kept a second time. The columns that lists read stay as they are.
ALTER TABLE views.chat_lock DROP COLUMN state, DROP COLUMN position;
ALTER TABLE views.escrow DROP COLUMN state, DROP COLUMN position;
ALTER TABLE views.order_summary DROP COLUMN state, DROP COLUMN position;
ALTER TABLE views.deadlines DROP COLUMN state, DROP COLUMN position;
ALTER TABLE views.docket DROP COLUMN state, DROP COLUMN position;
