-- Tables over time without TimescaleDB: native range partitions by month.
-- What lies outside the months that the sink makes (a clock far out) goes to the partition <table>_other.

CREATE FUNCTION make_timed(table_name text, time_column text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    shape text := table_name || '_shape';
BEGIN
    EXECUTE format('ALTER TABLE %I RENAME TO %I', table_name, shape);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (%I)', table_name, shape, time_column);
    EXECUTE format('DROP TABLE %I', shape);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', table_name || '_other', table_name);
END
$$;

-- Never inside a transaction that has written: it waits for whoever writes the table.
CREATE FUNCTION make_month(table_name text, month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part text := table_name || '_' || to_char(month, 'YYYY_MM');
    starts timestamptz := month::timestamp AT TIME ZONE 'UTC';
    ends timestamptz := (month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('bonewatch.make_month'));
    IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, table_name, starts, ends);
    END IF;
END
$$;

CREATE FUNCTION drop_months_before(table_name text, cutoff timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = table_name::regclass AND c.relname ~ '_\d{4}_\d{2}$'
          AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month')::timestamp AT TIME ZONE 'UTC' <= cutoff
    LOOP
        EXECUTE format('DROP TABLE %I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
