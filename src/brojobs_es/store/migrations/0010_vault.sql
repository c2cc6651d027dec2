-- The keys of people. What a person writes is stored sealed with that person's key; destroying the key erases it.
-- This schema is small and kept apart so that it can have backups of its own: a backup that holds a destroyed key undoes
-- its erasure.
DO $$
DECLARE
    may_take text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    BEGIN
        CREATE ROLE brojobs_eraser NOLOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'brojobs_eraser', may_take) THEN
        EXECUTE format('GRANT brojobs_eraser TO %I', current_user);
    END IF;
END
$$;

CREATE SCHEMA vault;
REVOKE ALL ON SCHEMA vault FROM PUBLIC;
GRANT USAGE ON SCHEMA vault TO brojobs_writer, brojobs_auditor, brojobs_eraser;
GRANT USAGE ON SCHEMA brojobs TO brojobs_eraser;

-- A generation is the second in which the key was made, so that no number comes back with another key, not even after an
-- old backup of the vault was restored. `wrapped_by` names the master key that wraps `key`; without one the key stands as it is.
CREATE TABLE vault.keys (
    person text NOT NULL,
    generation bigint NOT NULL CHECK (generation > 0),
    key bytea NOT NULL,
    wrapped_by text,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (person, generation)
);

-- Erasures, begun or finished. From its beginning on nobody is given the key any more; the row stays for ever, so that
-- no key is made again under a generation that was erased.
CREATE TABLE vault.erasures (
    person text NOT NULL,
    generation bigint NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (person, generation)
);

-- Grows with each change to the erasures. Whoever keeps keys in memory looks at it and forgets them when it has grown.
CREATE TABLE vault.epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number bigint NOT NULL
);
INSERT INTO vault.epoch (number) VALUES (1);

-- Words could be lost by a slip of the hand: a key is only removed by an erasure that was begun, and never changed.
CREATE FUNCTION vault.refuse_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        RAISE EXCEPTION 'keys are made and erased, nothing else: % refused', TG_OP USING ERRCODE = 'VG003';
    END IF;
    IF NOT EXISTS (SELECT FROM vault.erasures e WHERE e.person = OLD.person AND e.generation = OLD.generation) THEN
        RAISE EXCEPTION 'no erasure of this key was begun' USING ERRCODE = 'VG003';
    END IF;
    RETURN OLD;
END
$$;
REVOKE ALL ON FUNCTION vault.refuse_loss FROM PUBLIC;
CREATE TRIGGER keys_are_kept BEFORE DELETE ON vault.keys FOR EACH ROW EXECUTE FUNCTION vault.refuse_loss();
CREATE TRIGGER keys_never_change BEFORE UPDATE OR TRUNCATE ON vault.keys
    FOR EACH STATEMENT EXECUTE FUNCTION vault.refuse_loss();

-- The projector has no right to read keys: no view can hold what somebody wrote.
GRANT SELECT ON ALL TABLES IN SCHEMA vault TO brojobs_writer, brojobs_auditor;
GRANT INSERT (person, generation, key, wrapped_by) ON vault.keys TO brojobs_writer;
-- The eraser destroys keys without being able to read them.
GRANT SELECT (person, generation, made_at), DELETE ON vault.keys TO brojobs_eraser;
GRANT SELECT, INSERT (person, generation), UPDATE (finished_at), DELETE ON vault.erasures TO brojobs_eraser;
GRANT SELECT, UPDATE (number) ON vault.epoch TO brojobs_eraser;
