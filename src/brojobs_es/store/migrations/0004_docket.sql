-- The mediators' list: a row for each order that ever had a dispute, its disputes beside one another in `disputes`.
CREATE TABLE views.docket (
    order_id uuid PRIMARY KEY,
    log int NOT NULL,
    position bigint NOT NULL,
    state jsonb NOT NULL,
    open boolean,
    disputes jsonb
);
CREATE INDEX docket_open ON views.docket (open);
