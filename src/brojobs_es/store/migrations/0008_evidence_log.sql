-- What is known of a log's events apart from the events themselves: their digests, the Merkle tree over them, its signed
-- heads and what witnesses said of those. All of it can be computed again, except for the signatures.
GRANT USAGE ON SCHEMA {log} TO brojobs_sealer;
GRANT SELECT ON {log}.events TO brojobs_sealer;

-- A row for each sealed event: its place among the leaves of the tree, its digest, and the head of its order's chain.
CREATE TABLE {log}.digests (
    position bigint PRIMARY KEY,
    order_id uuid NOT NULL,
    leaf_index bigint NOT NULL UNIQUE,
    digest bytea NOT NULL,
    chain bytea NOT NULL
);
CREATE INDEX digests_order ON {log}.digests (order_id, leaf_index);

-- Roots of complete subtrees of 256, 65 536, … leaves (height 8, 16, …): a proof then needs few rows at any size.
CREATE TABLE {log}.nodes (
    height int NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (height, index)
);

-- Signed heads of the tree: the note as it was signed.
CREATE TABLE {log}.checkpoints (
    size bigint PRIMARY KEY,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What witnesses put under a checkpoint: a line of a signed note each.
CREATE TABLE {log}.cosignatures (
    size bigint NOT NULL REFERENCES {log}.checkpoints,
    witness text NOT NULL,
    line text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (size, witness)
);

CREATE FUNCTION {log}.refuse_change_of_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'evidence is only ever added: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'VG002';
END
$$;
REVOKE ALL ON FUNCTION {log}.refuse_change_of_evidence FROM PUBLIC;
CREATE TRIGGER digests_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.digests
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change_of_evidence();
CREATE TRIGGER nodes_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.nodes
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change_of_evidence();
CREATE TRIGGER checkpoints_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change_of_evidence();
CREATE TRIGGER cosignatures_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}.cosignatures
    FOR EACH STATEMENT EXECUTE FUNCTION {log}.refuse_change_of_evidence();

GRANT SELECT ON {log}.digests, {log}.nodes, {log}.checkpoints, {log}.cosignatures TO brojobs_sealer, brojobs_auditor;
GRANT INSERT ON {log}.digests, {log}.nodes TO brojobs_sealer;
-- By column: when something was signed or received is the database's to say.
GRANT INSERT (size, root, note) ON {log}.checkpoints TO brojobs_sealer;
GRANT INSERT (size, witness, line) ON {log}.cosignatures TO brojobs_sealer;
