-- One log, whole: events in one order, the answers kept for idempotency keys, names of files, refused commands.
-- Nothing here refers to another log, so that a log can live on a server of its own.
CREATE SCHEMA {log};
REVOKE ALL ON SCHEMA {log} FROM PUBLIC;
GRANT USAGE ON SCHEMA {log} TO brojobs_writer, brojobs_projector, brojobs_auditor;

CREATE TABLE {log}.events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    stream_version int NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT events_stream_version UNIQUE (stream_id, stream_version)
);
CREATE INDEX events_order ON {log}.events (order_id, position);

-- One transaction at a time draws positions and holds this lock until its commit is visible: positions are therefore in
-- commit order, and a reader that asks for what lies after its last position can never miss anything.
-- A statement trigger fires before the statement's first row is made, so before its first position is drawn.
CREATE FUNCTION {log}.serialise_append() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('brojobs append {log}', 0));
    RETURN NULL;
END
$$;
CREATE TRIGGER events_serialise BEFORE INSERT ON {log}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.serialise_append();

-- A stream starts at version 0 or 1 and goes on without a gap, in the order of positions, and belongs to one order.
CREATE FUNCTION {log}.check_append() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
    last_position bigint;
BEGIN
    SELECT n.stream_id, n.stream_version INTO wrong
    FROM (
        SELECT a.stream_id, a.stream_version, a.order_id,
               lag(a.stream_version) OVER in_stream AS previous_version,
               lag(a.order_id) OVER in_stream AS previous_order,
               lead(a.stream_version) OVER in_stream IS NULL AS is_last
        FROM appended a
        WINDOW in_stream AS (PARTITION BY a.stream_id ORDER BY a.position)
    ) n
    WHERE (n.previous_version IS NOT NULL
           AND (n.stream_version <> n.previous_version + 1 OR n.order_id <> n.previous_order))
       OR (n.previous_version IS NULL AND n.stream_version > 0 AND NOT EXISTS (
               SELECT FROM {log}.events e
               WHERE e.stream_id = n.stream_id AND e.stream_version = n.stream_version - 1 AND e.order_id = n.order_id)
           AND (n.stream_version > 1 OR EXISTS (
               SELECT FROM {log}.events e WHERE e.stream_id = n.stream_id AND e.stream_version < n.stream_version)))
       OR n.stream_version < 0
       OR (n.is_last AND EXISTS (
               SELECT FROM {log}.events e WHERE e.stream_id = n.stream_id AND e.stream_version > n.stream_version))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'stream % does not go on with version %', wrong.stream_id, wrong.stream_version
            USING ERRCODE = 'VG001', HINT = 'versions follow each other without a gap and belong to one order';
    END IF;
    SELECT max(position) INTO last_position FROM appended;
    IF last_position IS NOT NULL THEN
        PERFORM pg_catalog.pg_notify('brojobs_{log}', last_position::text);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER events_check AFTER INSERT ON {log}.events
    REFERENCING NEW TABLE AS appended
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.check_append();

-- Grants already say so for the service. This says so to the owner of the table, whose mistake would be the last one.
CREATE FUNCTION {log}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are only ever added: % refused', TG_OP USING ERRCODE = 'VG002';
END
$$;
CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change();
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {log} FROM PUBLIC;

-- For people with psql. Only the columns that a query names are computed.
CREATE VIEW {log}.readable_events AS
SELECT position, order_id, stream_id, stream_version, topic, recorded_at,
       convert_from(state, 'UTF8') AS state_text,
       convert_from(state, 'UTF8')::jsonb AS state_json
FROM {log}.events;

CREATE TABLE {log}.idempotency (
    caller text NOT NULL,
    key text NOT NULL,
    request_digest bytea NOT NULL,
    order_id uuid NOT NULL,
    answer bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, key)
);

CREATE TABLE {log}.files (
    order_id uuid NOT NULL,
    file_id text NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    media_type text NOT NULL,
    uploaded_by text NOT NULL,
    uploaded_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, file_id)
);

CREATE TABLE {log}.refusals (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid,
    actor_id text NOT NULL,
    actor_role text NOT NULL,
    command text NOT NULL,
    code text NOT NULL,
    command_id uuid,
    at timestamptz NOT NULL
);
CREATE INDEX refusals_order ON {log}.refusals (order_id, number);

GRANT SELECT ON ALL TABLES IN SCHEMA {log} TO brojobs_writer, brojobs_projector, brojobs_auditor;
-- By column: position and recorded_at are the database's to say.
GRANT INSERT (order_id, stream_id, stream_version, topic, state) ON {log}.events TO brojobs_writer;
GRANT INSERT (caller, key, request_digest, order_id, answer) ON {log}.idempotency TO brojobs_writer;
GRANT INSERT ON {log}.files TO brojobs_writer;
GRANT INSERT (order_id, actor_id, actor_role, command, code, command_id, at) ON {log}.refusals TO brojobs_writer;
