-- What dashboards and reports read. Same names and columns with and without TimescaleDB.

CREATE VIEW devices AS
SELECT c.device, split_part(c.device, '/', 1) AS site, split_part(c.device, '/', 2) AS device_id,
       c.kind, c.make, c.model, c.serial, c.ae_title, c.enforcement, c.ring, c.modes, c.phantoms, c.qc,
       c.recorded_at AS configured_at, coalesce(s.stage, 'unknown') AS stage, s.recorded_at AS stage_since
FROM (SELECT DISTINCT ON (device) * FROM device_configurations ORDER BY device, device_seq DESC) c
LEFT JOIN (SELECT DISTINCT ON (device) * FROM stage_changes ORDER BY device, device_seq DESC) s USING (device);

-- Past valid_until a gate is held, whoever asks.
CREATE VIEW gate_now AS
SELECT g.device, d.site, d.device_id, g.mode,
       CASE WHEN l.lapsed THEN 'held' ELSE g.status END AS status,
       CASE WHEN l.lapsed THEN g.valid_until ELSE g.since END AS since,
       g.valid_until, l.lapsed,
       CASE WHEN l.lapsed THEN ARRAY['state_unknown'] ELSE g.reason_codes END AS reason_codes,
       g.warning_codes,
       CASE WHEN l.lapsed THEN NULL ELSE g.overridden_until END AS overridden_until,
       CASE WHEN l.lapsed THEN '' ELSE g.overridden_by END AS overridden_by,
       g.recorded_at, d.enforcement, d.stage
FROM gates g
JOIN devices d ON d.device = g.device AND g.mode = ANY (d.modes)
CROSS JOIN LATERAL (SELECT g.valid_until IS NOT NULL AND g.valid_until <= now() AS lapsed) l;

-- From one change to the next; where the next came after valid_until, held from there.
CREATE VIEW gate_intervals AS
WITH changes AS (
    SELECT *, lead(effective_at) OVER (PARTITION BY device, mode ORDER BY device_seq) AS next_at FROM gate_changes
), bounded AS (
    SELECT *, coalesce(next_at, now()) AS until FROM changes
)
SELECT device, mode, device_seq, status, effective_at AS starts_at, least(until, coalesce(valid_until, until)) AS ends_at,
       next_at IS NULL AND (valid_until IS NULL OR valid_until > now()) AS is_current, reason_codes, overridden_by
FROM bounded WHERE least(until, coalesce(valid_until, until)) > effective_at
UNION ALL
SELECT device, mode, device_seq, 'held', greatest(valid_until, effective_at), until, next_at IS NULL,
       ARRAY['state_unknown'], ''
FROM bounded WHERE valid_until < until AND status <> 'held' AND until > effective_at;

CREATE VIEW uptime_intervals AS
SELECT i.device, split_part(i.device, '/', 1) AS site, i.mode, i.starts_at, i.ends_at,
       extract(epoch FROM i.ends_at - i.starts_at)::double precision AS duration_s,
       i.status <> 'held' AS is_available, i.status, i.reason_codes, i.is_current
FROM gate_intervals i;

CREATE VIEW qc_chart AS
SELECT device, phantom_id, region, role, measured_at, bmd_g_cm2, verdict, epoch, target_g_cm2, sigma_g_cm2,
       lower_g_cm2, upper_g_cm2, deviation_percent, cusum_upper_sigmas, cusum_lower_sigmas, cusum_h_sigmas,
       signal, violated, plausible, note, revision, recorded_at, subject_event_id
FROM qc_readings;

CREATE VIEW qc_history AS
SELECT device, phantom_id, subject_event_id, revision, recorded_at, measured_at, bmd_g_cm2, verdict, note
FROM qc_revisions;

CREATE VIEW baseline_epochs AS
SELECT device, phantom_id, epoch, recorded_at AS accepted_at, n, mean_g_cm2, sd_g_cm2, sigma_g_cm2, lower_g_cm2,
       upper_g_cm2, established, accepted_by, accepted_by_role, reason, step_percent
FROM baselines;

-- A decision on a signal answers signals and warnings of that phantom; a release answers its failures.
CREATE VIEW review_queue AS
SELECT r.device, r.phantom_id, r.basis, r.recorded_at AS opened_at, r.since, r.text,
       d.recorded_at AS decided_at, d.decision, d.decided_by, d.recorded_at IS NULL AS is_open
FROM reviews r
LEFT JOIN LATERAL (
    SELECT * FROM review_decisions d
    WHERE d.device = r.device AND d.phantom_id = r.phantom_id AND d.device_seq > r.device_seq
      AND d.is_release = (r.basis IN ('failure', 'late_failure'))
    ORDER BY d.device_seq LIMIT 1
) d ON true;

CREATE VIEW faults AS
SELECT r.device, r.fault_id, r.text, r.stops_scanning, r.recorded_at AS logged_at, r.person AS logged_by,
       c.recorded_at AS cleared_at, c.person AS cleared_by, c.text AS cleared_text, c.recorded_at IS NULL AS is_open
FROM fault_reports r
LEFT JOIN LATERAL (
    SELECT * FROM fault_reports c
    WHERE c.device = r.device AND c.fault_id = r.fault_id AND c.is_cleared AND c.device_seq > r.device_seq
    ORDER BY c.device_seq LIMIT 1
) c ON true
WHERE NOT r.is_cleared;

CREATE VIEW stages AS SELECT device, recorded_at, stage, previous FROM stage_changes;
CREATE VIEW sink_state AS SELECT source, position, log_position FROM sink_positions;
