-- Where the auditors' filters look: a row for each event of every log, folded by the runner of the views. The events
-- themselves carry no further index, so that recording them costs what it did.

-- What the filters need of a stored event. A state that cannot be read has none of it, and hides nothing else.
CREATE FUNCTION views.audit_facts(
    state bytea,
    OUT actor_id text, OUT recorded_at timestamptz, OUT mediator_id text, OUT buyer_id text, OUT seller_id text
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    fields jsonb;
BEGIN
    fields := convert_from(state, 'UTF8')::jsonb;
    actor_id := left(fields #>> '{cause,actor,id}', 300);  -- longer ones would not fit an index, and are not ours
    mediator_id := left(fields ->> 'mediator_id', 300);
    buyer_id := fields ->> 'buyer_id';
    seller_id := fields ->> 'seller_id';
    recorded_at := (fields ->> 'recorded_at')::timestamptz;
EXCEPTION WHEN data_exception THEN
    recorded_at := NULL;
END
$$;
REVOKE ALL ON FUNCTION views.audit_facts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION views.audit_facts TO brojobs_writer, brojobs_projector, brojobs_auditor;

CREATE TABLE views.audit (
    log int NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    actor_id text,
    recorded_at timestamptz,
    PRIMARY KEY (log, position)
);
CREATE INDEX audit_type ON views.audit (log, type, position);
CREATE INDEX audit_actor ON views.audit (log, actor_id, position);
CREATE INDEX audit_actor_type ON views.audit (log, actor_id, type, position);

-- The earliest and the latest instant among a thousand positions. Clocks of several processes differ, so instants follow
-- positions only nearly; this says exactly between which positions an interval of time can lie.
CREATE TABLE views.audit_times (
    log int NOT NULL,
    block bigint NOT NULL,
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL,
    PRIMARY KEY (log, block)
);

-- Whose case an order is or was: a mediator sees the log of these orders and of no others.
CREATE TABLE views.audit_mediators (
    mediator_id text NOT NULL,
    order_id uuid NOT NULL,
    log int NOT NULL,
    PRIMARY KEY (mediator_id, order_id)
);
