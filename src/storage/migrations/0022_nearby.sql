-- What dashboards ask of all devices at once, without opening every month's table for each of them.

-- As in 0020; what stood before and what was written after is looked for in the weeks nearby, and farther only if it is
-- not found there.
CREATE OR REPLACE FUNCTION gate_states(devices text[], since timestamptz, until timestamptz)
RETURNS TABLE (device text, mode text, status text, starts_at timestamptz, ends_at timestamptz, reason_codes text[])
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    WITH chosen AS MATERIALIZED (
        SELECT g.device, g.mode FROM gates g WHERE g.device = ANY (gate_states.devices)
    ), before AS MATERIALIZED (
        SELECT b.* FROM chosen g CROSS JOIN LATERAL (
            SELECT c.device, c.mode, c.device_seq, c.effective_at, c.status, c.valid_until, c.reason_codes
            FROM gate_changes c
            WHERE c.device = g.device AND c.mode = g.mode AND c.recorded_at < gate_states.since
              AND c.recorded_at >= gate_states.since - interval '20 days'
            ORDER BY c.recorded_at DESC, c.device_seq DESC LIMIT 1
        ) b
    ), after AS MATERIALIZED (
        SELECT a.* FROM chosen g CROSS JOIN LATERAL (
            SELECT c.device, c.mode, c.device_seq, c.effective_at, c.status, c.valid_until, c.reason_codes
            FROM gate_changes c
            WHERE c.device = g.device AND c.mode = g.mode AND c.recorded_at >= gate_states.until
              AND c.recorded_at < gate_states.until + interval '20 days'
            ORDER BY c.recorded_at, c.device_seq LIMIT 8
        ) a
    ), within AS (
        SELECT c.device, c.mode, c.device_seq, c.effective_at, c.status, c.valid_until, c.reason_codes
        FROM gate_changes c
        WHERE c.device = ANY (gate_states.devices) AND c.recorded_at >= gate_states.since
          AND c.recorded_at < gate_states.until
        UNION ALL
        SELECT b.* FROM before b
        UNION ALL  -- nothing for weeks: as far back as it goes
        SELECT b.*
        FROM (SELECT g.device, g.mode FROM chosen g EXCEPT SELECT n.device, n.mode FROM before n) g
        CROSS JOIN LATERAL (
            SELECT c.device, c.mode, c.device_seq, c.effective_at, c.status, c.valid_until, c.reason_codes
            FROM gate_changes c
            WHERE c.device = g.device AND c.mode = g.mode AND c.recorded_at < gate_states.since - interval '20 days'
            ORDER BY c.recorded_at DESC, c.device_seq DESC LIMIT 1
        ) b
        UNION ALL  -- deadlines that passed in this time, and were written down later: a site that was not running
        SELECT a.* FROM after a
        UNION ALL
        SELECT a.*
        FROM (
            SELECT g.device, g.mode FROM chosen g
            EXCEPT SELECT n.device, n.mode FROM after n GROUP BY n.device, n.mode HAVING count(*) >= 8
        ) g
        CROSS JOIN LATERAL (
            SELECT c.device, c.mode, c.device_seq, c.effective_at, c.status, c.valid_until, c.reason_codes
            FROM gate_changes c
            WHERE c.device = g.device AND c.mode = g.mode AND c.recorded_at >= gate_states.until + interval '20 days'
            ORDER BY c.recorded_at, c.device_seq LIMIT 8
        ) a
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
        FROM chosen g JOIN parked p USING (device)
    )
    SELECT w.device, w.mode, w.status, greatest(w.began, gate_states.since), least(w.ended, gate_states.until),
           w.reason_codes
    FROM whole w
    WHERE greatest(w.began, gate_states.since) < least(w.ended, gate_states.until);
END;

CREATE VIEW open_handovers AS
SELECT o.device, split_part(o.device, '/', 1) AS site, split_part(o.device, '/', 2) AS device_id, o.handover_id,
       o.recorded_at AS handed_over_at, o.person AS handed_over_by, o.engineer, o.company, o.text AS reason
FROM service_steps o
WHERE o.step = 'handed_over' AND NOT EXISTS (
    SELECT 1 FROM service_steps d
    WHERE d.device = o.device AND d.handover_id = o.handover_id AND d.step = 'return_decided'
);
COMMENT ON VIEW open_handovers IS 'handovers without a decision about the return';

DO $$
DECLARE
    who text;
BEGIN
    FOREACH who IN ARRAY ARRAY['bonewatch_reader', 'bonewatch_clinical'] LOOP
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = who) THEN
            EXECUTE format('GRANT SELECT ON open_handovers TO %I', who);
        END IF;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'open_handovers was not granted: %', SQLERRM;
END
$$;

-- Compiling a panel's question takes longer than answering it.
DO $$
BEGIN
    EXECUTE format('ALTER ROLE bonewatch_reader IN DATABASE %I SET jit = off', current_database());
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'jit was not switched off for bonewatch_reader: %', SQLERRM;
END
$$;
