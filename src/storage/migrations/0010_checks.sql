-- Checks of scales (kg) and stadiometers (cm).

CREATE TABLE checks (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    subject_event_id text COLLATE "C" NOT NULL,
    measured_at timestamptz NOT NULL,
    standard_id text NOT NULL,
    nominal double precision NOT NULL,
    read double precision NOT NULL,
    error double precision NOT NULL,
    verdict text NOT NULL,
    note text NOT NULL,
    performed_by text NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
CREATE INDEX checks_by_standard ON checks (device, standard_id, measured_at);
COMMENT ON TABLE checks IS 'readings of standards of known value: kg of scales, cm of stadiometers';

CREATE VIEW device_checks AS
SELECT c.*, split_part(c.device, '/', 1) AS site, split_part(c.device, '/', 2) AS device_id,
       d.kind, CASE d.kind WHEN 'stadiometer' THEN 'cm' ELSE 'kg' END AS unit
FROM checks c JOIN devices d USING (device);

DO $$
BEGIN
    GRANT SELECT ON device_checks TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
