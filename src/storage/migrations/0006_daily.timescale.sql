-- Readings by phantom and day (UTC): a continuous aggregate that also sees what is newer than its last refresh.

CREATE MATERIALIZED VIEW qc_daily WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT device, phantom_id, time_bucket(interval '1 day', measured_at) AS day,
       count(*) AS readings,
       count(*) FILTER (WHERE verdict IN ('fail', 'fail_confirmed')) AS failed,
       count(*) FILTER (WHERE signal) AS signals,
       avg(bmd_g_cm2) AS mean_g_cm2,
       min(bmd_g_cm2) AS min_g_cm2,
       max(bmd_g_cm2) AS max_g_cm2,
       stddev_samp(bmd_g_cm2) AS sd_g_cm2,
       avg(deviation_percent) AS mean_deviation_percent
FROM qc_readings
GROUP BY device, phantom_id, time_bucket(interval '1 day', measured_at)
WITH NO DATA;

SELECT add_continuous_aggregate_policy(
    'qc_daily', start_offset => interval '60 days', end_offset => interval '1 hour', schedule_interval => interval '1 hour'
);
