-- Work that comes round: what was done, how each stands; closures of clinics.

ALTER TABLE device_configurations ADD COLUMN duties jsonb NOT NULL DEFAULT '[]';
ALTER TABLE clinic_calendars ADD COLUMN closures jsonb NOT NULL DEFAULT '[]';

CREATE TABLE duty_records (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    duty_id text COLLATE "C" NOT NULL,
    done_on date,
    done_by text NOT NULL,
    valid_until date,
    note text NOT NULL,
    reference text NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
CREATE INDEX duty_records_by_duty ON duty_records (device, duty_id, done_on);
COMMENT ON TABLE duty_records IS 'due work as it was recorded; done_on is null where a log holds no date there';

CREATE TABLE duty_changes (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    duty_id text COLLATE "C" NOT NULL,
    effective_at timestamptz NOT NULL,
    standing text NOT NULL,
    due_at timestamptz,
    done_on date,
    PRIMARY KEY (device, device_seq, duty_id)
);
COMMENT ON TABLE duty_changes IS 'ok, due_soon, due, overdue: from when, and by when it is due';

CREATE VIEW duty_now AS
SELECT split_part(c.device, '/', 1) AS site, split_part(c.device, '/', 2) AS device_id, c.device,
       duty->>'duty_id' AS duty_id, duty->>'name' AS name, duty->>'kind' AS kind, (duty->>'holds')::boolean AS holds,
       n.standing, n.effective_at AS since, n.due_at, n.done_on
FROM (SELECT DISTINCT ON (device) device, duties FROM device_configurations ORDER BY device, device_seq DESC) c
CROSS JOIN LATERAL jsonb_array_elements(c.duties) duty
LEFT JOIN LATERAL (
    SELECT * FROM duty_changes d
    WHERE d.device = c.device AND d.duty_id = duty->>'duty_id'
    ORDER BY d.device_seq DESC LIMIT 1
) n ON true;
COMMENT ON VIEW duty_now IS 'how the work that is configured now stands';

CREATE VIEW duty_history AS
SELECT split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id, device, recorded_at, duty_id, done_on,
       done_by, valid_until, note, reference, person, person_role
FROM duty_records;

DO $$
BEGIN
    GRANT SELECT ON duty_now, duty_history TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
