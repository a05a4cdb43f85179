-- What people wrote into the equipment log, incidents until somebody has looked into them, files that were added.

CREATE TABLE log_entries (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    about text COLLATE "C" NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
COMMENT ON TABLE log_entries IS 'daily, service, repair, other; a comment is about the event or outcome of that id, and alters nothing of it';

CREATE TABLE incident_reports (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    incident_id text COLLATE "C" NOT NULL,
    is_closed boolean NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    PRIMARY KEY (device, device_seq, incident_id)
);
CREATE INDEX incident_reports_by_incident ON incident_reports (device, incident_id);
COMMENT ON TABLE incident_reports IS 'an incident was opened, or closed; its id is that of the event or outcome that opened it';

CREATE TABLE attachments (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    name text NOT NULL,
    media_type text NOT NULL,
    size bigint NOT NULL,
    text text NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
CREATE INDEX attachments_by_about ON attachments (device, about);
COMMENT ON TABLE attachments IS 'which file was added to what; the file itself stays in the site''s own store';

CREATE VIEW incidents AS
SELECT split_part(o.device, '/', 1) AS site, split_part(o.device, '/', 2) AS device_id, o.device, o.incident_id, o.kind,
       o.text, o.recorded_at AS opened_at, o.person AS opened_by, c.recorded_at AS closed_at, c.person AS closed_by,
       c.text AS finding, c.recorded_at IS NULL AS is_open,
       (SELECT count(*) FROM attachments a WHERE a.device = o.device AND a.about = o.incident_id) AS files
FROM incident_reports o
LEFT JOIN LATERAL (
    SELECT * FROM incident_reports c
    WHERE c.device = o.device AND c.incident_id = o.incident_id AND c.is_closed
    ORDER BY c.device_seq LIMIT 1
) c ON true
WHERE NOT o.is_closed;
COMMENT ON VIEW incidents IS 'reported ones, near misses, overrides, patients scanned while held; what came of each';

CREATE VIEW equipment_log AS
SELECT device, device_seq, recorded_at, event_id AS id, CASE kind WHEN 'comment' THEN 'comment' ELSE 'entry' END AS kind,
       kind AS title, text, person, person_role, about
FROM log_entries
UNION ALL
SELECT device, device_seq, recorded_at, incident_id, 'incident', CASE WHEN is_closed THEN 'closed' ELSE kind END, text,
       person, person_role, CASE WHEN is_closed THEN incident_id ELSE '' END
FROM incident_reports
UNION ALL
SELECT device, device_seq, recorded_at, event_id, 'file', name, text, person, person_role, about
FROM attachments
UNION ALL
SELECT device, device_seq, recorded_at, fault_id, 'fault', CASE WHEN is_cleared THEN 'cleared' ELSE 'logged' END, text,
       person, person_role, ''
FROM fault_reports
UNION ALL
SELECT device, device_seq, recorded_at, handover_id, 'service', step, text, person, person_role, ''
FROM service_steps;
COMMENT ON VIEW equipment_log IS 'entries, comments, incidents, files, faults and service of a device, by recorded_at';

DO $$
BEGIN
    GRANT SELECT ON incidents, equipment_log TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
