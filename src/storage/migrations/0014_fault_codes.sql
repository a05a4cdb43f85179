-- What a device's log said of a fault; and the calibration constants that came along with phantom scans.

ALTER TABLE fault_reports ADD COLUMN code text NOT NULL DEFAULT '';
ALTER TABLE fault_reports ADD COLUMN severity text NOT NULL DEFAULT '';
ALTER TABLE fault_reports ADD COLUMN component text NOT NULL DEFAULT '';
COMMENT ON COLUMN fault_reports.code IS 'as the device''s log calls it; empty where a person reported it';

CREATE OR REPLACE VIEW faults AS
SELECT r.device, r.fault_id, r.text, r.stops_scanning, r.recorded_at AS logged_at, r.person AS logged_by,
       c.recorded_at AS cleared_at, c.person AS cleared_by, c.text AS cleared_text, c.recorded_at IS NULL AS is_open,
       r.code, r.severity, r.component
FROM fault_reports r
LEFT JOIN LATERAL (
    SELECT * FROM fault_reports c
    WHERE c.device = r.device AND c.fault_id = r.fault_id AND c.is_cleared AND c.device_seq > r.device_seq
    ORDER BY c.device_seq LIMIT 1
) c ON true
WHERE NOT r.is_cleared;

CREATE VIEW scan_constants AS
SELECT device, device_seq, recorded_at, (fact->>'measured_at')::timestamptz AS measured_at, fact->>'phantom_id' AS phantom_id,
       fact->>'region' AS region, (fact->>'k')::double precision AS k, (fact->>'d0')::double precision AS d0,
       coalesce(fact->>'scan_mode', '') AS scan_mode, coalesce(fact->>'software', '') AS software
FROM events
WHERE type = 'bonewatch.phantom-measured.v1' AND (fact ? 'k' OR fact ? 'd0' OR fact ? 'scan_mode');
COMMENT ON VIEW scan_constants IS 'k and d0 of a Hologic, which a recalibration moves, and the scan mode';

DO $$
BEGIN
    GRANT SELECT ON scan_constants TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
