-- Patients who were scanned while the gate was held.

CREATE TABLE bypasses (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    subject_event_id text COLLATE "C" NOT NULL,
    scanned_at timestamptz NOT NULL,
    accession_number text NOT NULL,
    mode text NOT NULL,
    evidence text NOT NULL,
    reason_codes text[] NOT NULL,
    enforcement text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
CREATE INDEX bypasses_by_time ON bypasses (scanned_at);
COMMENT ON TABLE bypasses IS 'patients scanned while the gate was held; told once for a request';
COMMENT ON COLUMN bypasses.enforcement IS 'how far the gate reached then; in shadow nobody was told not to scan';

CREATE VIEW device_bypasses AS
SELECT split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id, device, recorded_at, scanned_at,
       mode, evidence, reason_codes, enforcement
FROM bypasses;
COMMENT ON VIEW device_bypasses IS 'patients scanned while the gate was held, without their requests';

DO $$
BEGIN
    GRANT SELECT ON device_bypasses TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
