-- Tables over time with TimescaleDB: hypertables of monthly chunks, compressed by device after half a year.

CREATE FUNCTION make_timed(table_name text, time_column text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_hypertable(
        table_name::regclass, by_range(time_column, interval '1 month'), create_default_indexes => false
    );
    EXECUTE format(
        'ALTER TABLE %I SET (timescaledb.compress, timescaledb.compress_segmentby = ''device'')', table_name
    );
    PERFORM add_compression_policy(table_name::regclass, interval '6 months');
END
$$;

-- Chunks are made on demand.
CREATE FUNCTION make_month(table_name text, month date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END
$$;

CREATE FUNCTION drop_months_before(table_name text, cutoff timestamptz) RETURNS integer LANGUAGE sql AS $$
    SELECT count(*)::integer FROM drop_chunks(table_name::regclass, older_than => cutoff)
$$;
