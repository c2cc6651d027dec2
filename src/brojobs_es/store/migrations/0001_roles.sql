-- Who may do what. Nobody logs in as these: a service's own user is a member of the role and takes it for each connection.
-- Roles belong to the whole server, so another database of it may be making them at this very moment.
DO $$
DECLARE
    wanted text;
    may_take text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['brojobs_writer', 'brojobs_projector', 'brojobs_auditor'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        -- From PostgreSQL 16 on, making a role does not yet allow taking it.
        IF NOT pg_has_role(current_user, wanted, may_take) THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA brojobs FROM PUBLIC;
GRANT USAGE ON SCHEMA brojobs TO brojobs_writer, brojobs_projector, brojobs_auditor;
GRANT SELECT ON brojobs.migrations, brojobs.deployment TO brojobs_writer, brojobs_projector, brojobs_auditor;
