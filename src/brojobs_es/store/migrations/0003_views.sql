-- Tables folded from the logs: they can be thrown away and made again. One row an order; `state` is the fold's own state.
CREATE SCHEMA views;
REVOKE ALL ON SCHEMA views FROM PUBLIC;
GRANT USAGE ON SCHEMA views TO brojobs_writer, brojobs_projector, brojobs_auditor;

-- How far each view has read each log.
CREATE TABLE views.tracking (
    view text NOT NULL,
    log int NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (view, log)
);

-- Events that a view could not take, and all later events of their orders.
CREATE TABLE views.parked (
    view text NOT NULL,
    log int NOT NULL,
    position bigint NOT NULL,
    order_id uuid NOT NULL,
    reason text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (view, log, position)
);
CREATE INDEX parked_order ON views.parked (order_id, view);

CREATE TABLE views.chat_lock (
    order_id uuid PRIMARY KEY,
    log int NOT NULL,
    position bigint NOT NULL,
    state jsonb NOT NULL,
    buyer_can_write boolean,
    seller_can_write boolean,
    code text,
    until timestamptz
);

CREATE TABLE views.escrow (
    order_id uuid PRIMARY KEY,
    log int NOT NULL,
    position bigint NOT NULL,
    state jsonb NOT NULL,
    currency text,
    funded bigint,
    held bigint,
    refunded bigint,
    released bigint,
    commission bigint
);

CREATE TABLE views.order_summary (
    order_id uuid PRIMARY KEY,
    log int NOT NULL,
    position bigint NOT NULL,
    state jsonb NOT NULL,
    status text,
    buyer_id text,
    seller_id text,
    placed_at timestamptz,
    due_at timestamptz,
    dispute_id uuid,
    ended_at timestamptz
);
CREATE INDEX order_summary_buyer ON views.order_summary (buyer_id, placed_at, order_id);
CREATE INDEX order_summary_seller ON views.order_summary (seller_id, placed_at, order_id);
CREATE INDEX order_summary_placed ON views.order_summary (placed_at, order_id);
CREATE INDEX order_summary_status ON views.order_summary (status);

CREATE TABLE views.deadlines (
    order_id uuid PRIMARY KEY,
    log int NOT NULL,
    position bigint NOT NULL,
    state jsonb NOT NULL,
    next_at timestamptz,
    timer text
);
CREATE INDEX deadlines_next ON views.deadlines (next_at);

GRANT SELECT ON ALL TABLES IN SCHEMA views TO brojobs_writer, brojobs_auditor;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA views TO brojobs_projector;
-- A view that a later migration adds is read and written by the same roles.
ALTER DEFAULT PRIVILEGES IN SCHEMA views GRANT SELECT ON TABLES TO brojobs_writer, brojobs_auditor;
ALTER DEFAULT PRIVILEGES IN SCHEMA views GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO brojobs_projector;
