-- What dashboards ask of gates and clinics between two times, without reading the years before.

CREATE INDEX gate_changes_by_time ON gate_changes (device, mode, recorded_at);

-- Conditions on a device reach the table: read once for each branch, and not whole.
CREATE OR REPLACE VIEW gate_intervals AS
WITH changes AS NOT MATERIALIZED (
    SELECT *, lead(effective_at) OVER (PARTITION BY device, mode ORDER BY device_seq) AS next_at FROM gate_changes
), bounded AS NOT MATERIALIZED (
    SELECT *, coalesce(next_at, now()) AS until FROM changes
), stood AS NOT MATERIALIZED (
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

-- The rows of gate_intervals that lie between two times, cut to them: what changed there, and what stood before.
-- Run with its owner's rights, so that the dashboards' role may; it tells no more than gate_intervals does.
CREATE FUNCTION gate_states(devices text[], since timestamptz, until timestamptz)
RETURNS TABLE (device text, mode text, status text, starts_at timestamptz, ends_at timestamptz, reason_codes text[])
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    WITH within AS (
        SELECT c.device, c.mode, c.device_seq, c.effective_at, c.status, c.valid_until, c.reason_codes
        FROM gate_changes c
        WHERE c.device = ANY (gate_states.devices) AND c.recorded_at >= gate_states.since
          AND c.recorded_at < gate_states.until
        UNION ALL
        SELECT b.device, b.mode, b.device_seq, b.effective_at, b.status, b.valid_until, b.reason_codes
        FROM gates g
        CROSS JOIN LATERAL (
            SELECT c.* FROM gate_changes c
            WHERE c.device = g.device AND c.mode = g.mode AND c.recorded_at < gate_states.since
            ORDER BY c.recorded_at DESC, c.device_seq DESC LIMIT 1
        ) b
        WHERE g.device = ANY (gate_states.devices)
        UNION ALL  -- deadlines that passed in this time, and were written down later: a site that was not running
        SELECT a.device, a.mode, a.device_seq, a.effective_at, a.status, a.valid_until, a.reason_codes
        FROM gates g
        CROSS JOIN LATERAL (
            SELECT c.* FROM gate_changes c
            WHERE c.device = g.device AND c.mode = g.mode AND c.recorded_at >= gate_states.until
            ORDER BY c.recorded_at, c.device_seq LIMIT 8
        ) a
        WHERE g.device = ANY (gate_states.devices)
    ), changes AS (
        SELECT w.*, lead(w.effective_at) OVER (PARTITION BY w.device, w.mode ORDER BY w.device_seq) AS next_at
        FROM within w
    ), bounded AS (
        SELECT c.*, coalesce(c.next_at, least(now(), gate_states.until)) AS ended FROM changes c
    ), stood AS (
        SELECT b.device, b.mode, b.status, b.effective_at AS began, least(b.ended, coalesce(b.valid_until, b.ended)) AS ended,
               b.reason_codes
        FROM bounded b
        UNION ALL
        SELECT b.device, b.mode, 'held', greatest(b.valid_until, b.effective_at), b.ended, ARRAY['state_unknown']
        FROM bounded b WHERE b.valid_until < b.ended AND b.status <> 'held'
    ), parked AS (
        SELECT f.device, least(f.changed_at, now()) AS began FROM fleet_devices f WHERE f.parked <> ''
    ), whole AS (
        SELECT s.device, s.mode, s.status, s.began, least(s.ended, p.began) AS ended, s.reason_codes
        FROM stood s LEFT JOIN parked p USING (device)
        UNION ALL
        SELECT g.device, g.mode, 'held', p.began, now(), ARRAY['state_unknown']
        FROM gates g JOIN parked p USING (device) WHERE g.device = ANY (gate_states.devices)
    )
    SELECT w.device, w.mode, w.status, greatest(w.began, gate_states.since), least(w.ended, gate_states.until),
           w.reason_codes
    FROM whole w
    WHERE greatest(w.began, gate_states.since) < least(w.ended, gate_states.until);
END;

-- Clinic hours as they were configured at the time, in the site's zone, without closures; overlaps count once.
CREATE FUNCTION clinic_sessions(devices text[], since timestamptz, until timestamptz)
RETURNS TABLE (device text, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    WITH calendars AS (
        SELECT c.device, c.time_zone, c.clinics, c.closures, c.recorded_at AS began,
               coalesce(lead(c.recorded_at) OVER (PARTITION BY c.device ORDER BY c.device_seq), 'infinity') AS ended
        FROM clinic_calendars c WHERE c.device = ANY (clinic_sessions.devices)
    ), standing AS (
        SELECT c.*, tstzrange(greatest(c.began, clinic_sessions.since), least(c.ended, clinic_sessions.until)) AS reach
        FROM calendars c WHERE greatest(c.began, clinic_sessions.since) < least(c.ended, clinic_sessions.until)
    ), days AS (
        SELECT d::date AS day
        FROM generate_series(
            date_trunc('day', clinic_sessions.since, 'UTC') - interval '1 day', clinic_sessions.until + interval '1 day',
            interval '1 day'
        ) d
    ), opened AS (
        SELECT s.device,
               range_agg(s.reach * tstzrange(
                   (d.day + (k ->> 'starts')::time) AT TIME ZONE s.time_zone,
                   (d.day + (k ->> 'ends')::time) AT TIME ZONE s.time_zone
               )) AS hours
        FROM standing s CROSS JOIN days d CROSS JOIN LATERAL jsonb_array_elements(s.clinics) k
        WHERE k -> 'weekdays' @> to_jsonb(extract(isodow FROM d.day)::integer - 1)
        GROUP BY s.device
    ), closed AS (
        SELECT s.device,
               range_agg(s.reach * tstzrange(
                   ((x ->> 'first')::date + coalesce(nullif(x ->> 'starts', ''), '00:00')::time) AT TIME ZONE s.time_zone,
                   CASE WHEN x ->> 'ends' <> '' THEN (x ->> 'last')::date + (x ->> 'ends')::time
                        ELSE ((x ->> 'last')::date + 1)::timestamp END AT TIME ZONE s.time_zone
               )) AS hours
        FROM standing s CROSS JOIN LATERAL jsonb_array_elements(s.closures) x
        GROUP BY s.device
    )
    SELECT o.device, lower(r), upper(r)
    FROM opened o LEFT JOIN closed c USING (device)
    CROSS JOIN LATERAL unnest(o.hours - coalesce(c.hours, '{}'::tstzmultirange)) r;
END;

-- How long the pieces of a set of times are together.
CREATE FUNCTION seconds_in(times tstzmultirange) RETURNS double precision
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0)::double precision FROM unnest(seconds_in.times) r;
END;

-- Of every review what lists and counts want, without what review_status looks up one by one.
CREATE INDEX review_decisions_by_id ON review_decisions (device, review_id, device_seq);
CREATE VIEW review_log AS
SELECT r.device, split_part(r.device, '/', 1) AS site, split_part(r.device, '/', 2) AS device_id, r.review_id,
       r.phantom_id, r.bases, r.opened_at, d.decided_at, coalesce(d.verdict, '') AS verdict,
       coalesce(d.decision, '') AS decision, d.device_seq IS NULL AS is_open
FROM (
    SELECT device, review_id, (array_agg(phantom_id ORDER BY revision DESC, device_seq DESC))[1] AS phantom_id,
           array_agg(DISTINCT basis ORDER BY basis) AS bases, min(recorded_at) AS opened_at
    FROM reviews WHERE review_id <> '' GROUP BY device, review_id
) r
LEFT JOIN (  -- as review_decisions_in_force says, joined by what is equal
    SELECT DISTINCT ON (c.device, c.review_id) c.*
    FROM (
        SELECT r.device, r.review_id, d.device_seq, d.recorded_at AS decided_at, d.verdict, d.decision
        FROM (SELECT device, review_id, min(device_seq) AS first FROM reviews WHERE review_id <> '' GROUP BY 1, 2) r
        JOIN review_decisions d ON d.device = r.device AND d.review_id = r.review_id
        WHERE NOT d.is_release AND d.device_seq > r.first
        UNION ALL
        SELECT r.device, r.review_id, d.device_seq, d.recorded_at, d.verdict, d.decision
        FROM (
            SELECT device, review_id, phantom_id, min(device_seq) AS first
            FROM reviews WHERE review_id <> '' GROUP BY 1, 2, 3
        ) r
        JOIN review_decisions d ON d.device = r.device AND d.phantom_id = r.phantom_id AND d.review_id = ''
        WHERE NOT d.is_release AND d.device_seq > r.first
    ) c
    WHERE NOT EXISTS (
        SELECT 1 FROM decision_withdrawals w
        WHERE w.device = c.device AND w.review_id = c.review_id AND w.device_seq > c.device_seq
    )
    ORDER BY c.device, c.review_id, c.device_seq DESC
) d USING (device, review_id);
COMMENT ON VIEW review_log IS 'opened reviews of all devices with the decision in force';

CREATE INDEX fault_reports_by_fault ON fault_reports (device, fault_id, device_seq);
CREATE VIEW open_faults AS
SELECT r.device, split_part(r.device, '/', 1) AS site, split_part(r.device, '/', 2) AS device_id, r.fault_id, r.text,
       r.stops_scanning, r.recorded_at AS logged_at, r.person AS logged_by, r.code, r.severity, r.component
FROM fault_reports r
WHERE NOT r.is_cleared AND NOT EXISTS (
    SELECT 1 FROM fault_reports c
    WHERE c.device = r.device AND c.fault_id = r.fault_id AND c.is_cleared AND c.device_seq > r.device_seq
);
COMMENT ON VIEW open_faults IS 'the open ones of faults';

DO $$
DECLARE
    who text;
BEGIN
    FOREACH who IN ARRAY ARRAY['bonewatch_reader', 'bonewatch_clinical'] LOOP
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = who) THEN
            EXECUTE format('GRANT SELECT ON review_log, open_faults TO %I', who);
        END IF;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'review_log and open_faults were not granted: %', SQLERRM;
END
$$;
