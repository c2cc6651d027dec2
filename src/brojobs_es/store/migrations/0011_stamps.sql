-- What a time stamping authority answered for a checkpoint (RFC 3161): the whole response as it came, and the time that it
-- states. Nothing inside the database could make one anew.
CREATE TABLE {log}.stamps (
    size bigint PRIMARY KEY REFERENCES {log}.checkpoints,
    response bytea NOT NULL,
    stamped_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER stamps_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.stamps
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change_of_evidence();

GRANT SELECT ON {log}.stamps TO brojobs_sealer, brojobs_auditor;
-- By column: when it was received is the database's to say.
GRANT INSERT (size, response, stamped_at) ON {log}.stamps TO brojobs_sealer;
