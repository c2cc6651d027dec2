-- The same check as before, asked in a way that has one plan only. An EXISTS may be answered from a hash of the whole
-- table, which is right for a small one, and the plan that was made for it stays in use while the log grows.
CREATE OR REPLACE FUNCTION {log}.check_append() RETURNS trigger LANGUAGE plpgsql AS $$
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
       OR (n.previous_version IS NULL AND n.stream_version > 0 AND (
               SELECT true FROM {log}.events e
               WHERE e.stream_id = n.stream_id AND e.stream_version = n.stream_version - 1 AND e.order_id = n.order_id
               LIMIT 1) IS NULL
           AND (n.stream_version > 1 OR (
               SELECT true FROM {log}.events e
               WHERE e.stream_id = n.stream_id AND e.stream_version < n.stream_version LIMIT 1) IS NOT NULL))
       OR n.stream_version < 0
       OR (n.is_last AND (
               SELECT true FROM {log}.events e
               WHERE e.stream_id = n.stream_id AND e.stream_version > n.stream_version LIMIT 1) IS NOT NULL)
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
