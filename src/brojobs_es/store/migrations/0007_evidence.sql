-- Who seals: reads events and adds to the evidence beside them, nothing else. (As with the first roles: they belong to the
-- whole server, and another database of it may be making this one at this very moment.)
DO $$
DECLARE
    may_take text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    BEGIN
        CREATE ROLE brojobs_sealer NOLOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'brojobs_sealer', may_take) THEN
        EXECUTE format('GRANT brojobs_sealer TO %I', current_user);
    END IF;
END
$$;

-- Tells two databases of one name apart: part of the origin of their checkpoints.
ALTER TABLE brojobs.deployment ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();

GRANT USAGE ON SCHEMA brojobs TO brojobs_sealer;
GRANT SELECT ON brojobs.deployment TO brojobs_sealer;
