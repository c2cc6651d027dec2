-- Refused commands can be followed like events: numbers are in commit order, so that who asks for what lies after the
-- last number misses none.
CREATE FUNCTION {log}.serialise_refusals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('brojobs refusal {log}', 0));
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION {log}.serialise_refusals FROM PUBLIC;
CREATE TRIGGER refusals_serialise BEFORE INSERT ON {log}.refusals
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.serialise_refusals();
CREATE INDEX refusals_actor ON {log}.refusals (actor_id, number);
CREATE INDEX refusals_code ON {log}.refusals (code, number);
CREATE INDEX refusals_at ON {log}.refusals (at);

-- Who of the staff looked at a case or took a copy of it. Without an order: at a log, as far as `filters` say.
CREATE TABLE {log}.custody (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid,
    reader_id text NOT NULL,
    reader_role text NOT NULL,
    what text NOT NULL,
    filters jsonb NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX custody_order ON {log}.custody (order_id, number);
CREATE TRIGGER custody_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.custody
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change();
GRANT SELECT ON {log}.custody TO brojobs_writer, brojobs_projector, brojobs_auditor;
GRANT INSERT (order_id, reader_id, reader_role, what, filters, at) ON {log}.custody TO brojobs_writer;
