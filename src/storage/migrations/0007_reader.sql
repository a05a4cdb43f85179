-- Grafana's role: SELECT on views alone. Where this user may not make roles, an administrator makes it first.

DO $$
DECLARE
    seen text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bonewatch_reader') THEN
        CREATE ROLE bonewatch_reader LOGIN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO bonewatch_reader', current_schema());
    FOR seen IN SELECT viewname FROM pg_views WHERE schemaname = current_schema() LOOP
        EXECUTE format('GRANT SELECT ON %I TO bonewatch_reader', seen);
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        RAISE NOTICE 'bonewatch_reader was not made: %', SQLERRM;
END
$$;
