-- Into clinical use and what may be compared: commissioning, steps between epochs, studies between scanners.

CREATE TABLE commissioning_records (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    step text NOT NULL,
    done_on text NOT NULL,
    done_by text NOT NULL,
    organisation text NOT NULL,
    is_satisfactory boolean NOT NULL,
    result text NOT NULL,
    reference text NOT NULL,
    endorsed_by text NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
COMMENT ON TABLE commissioning_records IS
    'steps of commissioning, and signed_off: then done_on is since when a device that was adopted had been in service';

CREATE TABLE step_reviews (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    phantom_id text NOT NULL,
    epoch integer NOT NULL,
    is_comparable boolean NOT NULL,
    decision text NOT NULL,
    decided_by text NOT NULL,
    decided_by_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);

CREATE TABLE studies (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    study_id text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    other_device text NOT NULL,
    region text NOT NULL,
    method text NOT NULL,
    slope double precision NOT NULL,
    intercept_g_cm2 double precision NOT NULL,
    standard_error_g_cm2 double precision NOT NULL,
    lower_g_cm2 double precision NOT NULL,
    upper_g_cm2 double precision NOT NULL,
    n integer NOT NULL,
    data_digest text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    approval_reference text NOT NULL,
    accepted_by text NOT NULL,
    accepted_by_role text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
COMMENT ON TABLE studies IS
    'to = intercept + slope * from, for serial comparison only; superseded by the next version, never edited';

CREATE TABLE study_withdrawals (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    study_id text NOT NULL,
    reason text NOT NULL,
    withdrawn_by text NOT NULL,
    withdrawn_by_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);

CREATE VIEW studies_in_force AS
SELECT c.*
FROM studies c
WHERE c.valid_from <= now()
  AND (c.valid_until IS NULL OR c.valid_until > now())
  AND NOT EXISTS (
      SELECT 1 FROM studies later
      WHERE later.device = c.device AND later.study_id = c.study_id AND later.device_seq > c.device_seq
        AND later.valid_from <= now()
  )
  AND NOT EXISTS (  -- another serial number is another device
      SELECT 1 FROM device_configurations d
      JOIN LATERAL (
          SELECT serial FROM device_configurations e
          WHERE e.device = c.device AND e.device_seq <= c.device_seq ORDER BY e.device_seq DESC LIMIT 1
      ) was ON true
      WHERE d.device = c.device AND d.device_seq > c.device_seq AND was.serial <> '' AND d.serial <> was.serial
  )
  AND NOT EXISTS (
      SELECT 1 FROM study_withdrawals w
      WHERE w.device = c.device AND w.study_id = c.study_id AND w.device_seq > c.device_seq
  );

CREATE VIEW commissioning AS
SELECT DISTINCT ON (device, step) device, step, done_on, done_by, organisation, is_satisfactory, result, reference,
       endorsed_by, person, person_role, recorded_at
FROM commissioning_records
ORDER BY device, step, device_seq DESC;

CREATE VIEW epochs_compared AS
SELECT b.device, b.phantom_id, b.epoch, b.recorded_at AS accepted_at, b.step_percent, r.is_comparable, r.decision,
       r.decided_by, r.recorded_at AS decided_at
FROM baselines b
LEFT JOIN LATERAL (
    SELECT * FROM step_reviews s
    WHERE s.device = b.device AND s.phantom_id = b.phantom_id AND s.epoch = b.epoch AND s.device_seq > b.device_seq
      AND NOT EXISTS (  -- the same epoch of another device under this name
          SELECT 1 FROM baselines n
          WHERE n.device = b.device AND n.phantom_id = b.phantom_id AND n.epoch = b.epoch
            AND n.device_seq > b.device_seq AND n.device_seq < s.device_seq
      )
    ORDER BY s.device_seq DESC LIMIT 1
) r ON true;

DO $$
BEGIN
    GRANT SELECT ON commissioning, studies_in_force, epochs_compared TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
