-- qc_daily also counts the readings that its mean deviation is of, so that means of days make means of months.
-- Made anew, for a continuous aggregate takes no further column; and refreshed from its beginning: readings of years ago
-- that are imported or judged again count too.

DROP MATERIALIZED VIEW qc_daily;
CREATE MATERIALIZED VIEW qc_daily WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT device, phantom_id, time_bucket(interval '1 day', measured_at) AS day,
       count(*) AS readings,
       count(*) FILTER (WHERE verdict IN ('fail', 'fail_confirmed')) AS failed,
       count(*) FILTER (WHERE signal) AS signals,
       avg(bmd_g_cm2) AS mean_g_cm2,
       min(bmd_g_cm2) AS min_g_cm2,
       max(bmd_g_cm2) AS max_g_cm2,
       stddev_samp(bmd_g_cm2) AS sd_g_cm2,
       avg(deviation_percent) AS mean_deviation_percent,
       count(deviation_percent) AS charted
FROM qc_readings
GROUP BY device, phantom_id, time_bucket(interval '1 day', measured_at)
WITH NO DATA;

SELECT add_continuous_aggregate_policy(
    'qc_daily', start_offset => NULL, end_offset => interval '1 hour', schedule_interval => interval '1 hour'
);

DO $$
DECLARE
    who text;
BEGIN
    FOREACH who IN ARRAY ARRAY['bonewatch_reader', 'bonewatch_clinical'] LOOP
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = who) THEN
            EXECUTE format('GRANT SELECT ON qc_daily TO %I', who);
        END IF;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'qc_daily was not granted: %', SQLERRM;
END
$$;
