-- A parked device is held from when it was parked, also in intervals; and what workers say counts in its order.

CREATE OR REPLACE VIEW gate_intervals AS
WITH changes AS (
    SELECT *, lead(effective_at) OVER (PARTITION BY device, mode ORDER BY device_seq) AS next_at FROM gate_changes
), bounded AS (
    SELECT *, coalesce(next_at, now()) AS until FROM changes
), stood AS (
    SELECT device, mode, device_seq, status, effective_at AS starts_at,
           least(until, coalesce(valid_until, until)) AS ends_at,
           next_at IS NULL AND (valid_until IS NULL OR valid_until > now()) AS is_current, reason_codes, overridden_by
    FROM bounded WHERE least(until, coalesce(valid_until, until)) > effective_at
    UNION ALL
    SELECT device, mode, device_seq, 'held', greatest(valid_until, effective_at), until, next_at IS NULL,
           ARRAY['state_unknown'], ''
    FROM bounded WHERE valid_until < until AND status <> 'held' AND until > effective_at
), parked AS (
    SELECT device, least(changed_at, now()) AS since FROM fleet_devices WHERE parked <> ''
)
SELECT s.device, s.mode, s.device_seq, s.status, s.starts_at, least(s.ends_at, p.since) AS ends_at,
       s.is_current AND p.since IS NULL AS is_current, s.reason_codes, s.overridden_by
FROM stood s LEFT JOIN parked p USING (device)
WHERE p.since IS NULL OR s.starts_at < p.since
UNION ALL
SELECT g.device, g.mode, g.device_seq, 'held', p.since, now(), true, ARRAY['state_unknown'], ''
FROM gates g JOIN parked p USING (device);

-- Until now a state at a lower number than the last was passed over: the workers' table is read once more.
DELETE FROM sink_positions WHERE source LIKE 'bonewatch.worker-states.%';
