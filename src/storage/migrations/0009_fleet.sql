-- The fleet: what the workers say of each device, records that are no rows, and sites that are left aside.

ALTER TABLE sink_positions ADD COLUMN set_aside text NOT NULL DEFAULT '';
COMMENT ON COLUMN sink_positions.set_aside IS 'why nothing more of this source is taken in; empty where it is';

CREATE TABLE fleet_devices (
    device text COLLATE "C" PRIMARY KEY,
    device_seq bigint NOT NULL,
    parked text NOT NULL,
    changed_at timestamptz NOT NULL,
    diverged_at_seq bigint
);
COMMENT ON TABLE fleet_devices IS 'each device as the fleet''s workers know it';
COMMENT ON COLUMN fleet_devices.parked IS 'why nothing of it is published; empty where it is';
COMMENT ON COLUMN fleet_devices.changed_at IS 'since when it is parked, or no longer';
COMMENT ON COLUMN fleet_devices.diverged_at_seq IS 'first event whose outcomes the fleet''s fold does not confirm';

CREATE TABLE refused_records (
    source text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    device text COLLATE "C" NOT NULL,
    rejection text NOT NULL,
    PRIMARY KEY (source, position)
);
COMMENT ON TABLE refused_records IS 'records of a site''s topic, by offset, that hold no row of its log; the topic keeps them';

CREATE VIEW parked_devices AS
SELECT device, split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id, parked AS why,
       changed_at AS since
FROM fleet_devices WHERE parked <> '';

CREATE VIEW diverged_devices AS
SELECT device, split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id, diverged_at_seq
FROM fleet_devices WHERE diverged_at_seq IS NOT NULL;

CREATE VIEW refusals AS SELECT source AS site, position, device, rejection FROM refused_records;

CREATE OR REPLACE VIEW sink_state AS SELECT source, position, log_position, set_aside FROM sink_positions;

-- Past valid_until a gate is held, whoever asks; so is that of a device that the fleet's workers have parked.
CREATE OR REPLACE VIEW gate_now AS
SELECT g.device, d.site, d.device_id, g.mode,
       CASE WHEN l.parked <> '' OR l.lapsed THEN 'held' ELSE g.status END AS status,
       CASE WHEN l.parked <> '' THEN f.changed_at WHEN l.lapsed THEN g.valid_until ELSE g.since END AS since,
       g.valid_until, l.lapsed,
       CASE WHEN l.parked <> '' OR l.lapsed THEN ARRAY['state_unknown'] ELSE g.reason_codes END AS reason_codes,
       g.warning_codes,
       CASE WHEN l.parked <> '' OR l.lapsed THEN NULL ELSE g.overridden_until END AS overridden_until,
       CASE WHEN l.parked <> '' OR l.lapsed THEN '' ELSE g.overridden_by END AS overridden_by,
       g.recorded_at, d.enforcement, d.stage, l.parked
FROM gates g
JOIN devices d ON d.device = g.device AND g.mode = ANY (d.modes)
LEFT JOIN fleet_devices f ON f.device = g.device
CROSS JOIN LATERAL (
    SELECT g.valid_until IS NOT NULL AND g.valid_until <= now() AS lapsed, coalesce(f.parked, '') AS parked
) l;

DO $$
DECLARE
    seen text;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bonewatch_reader') THEN
        FOREACH seen IN ARRAY ARRAY['parked_devices', 'diverged_devices', 'refusals'] LOOP
            EXECUTE format('GRANT SELECT ON %I TO bonewatch_reader', seen);
        END LOOP;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader may not read the fleet''s views: %', SQLERRM;
END
$$;
