-- How far each source has been taken in, and its events as they stand in the log.

CREATE TABLE sink_positions (
    source text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    log_id text NOT NULL,
    log_position bigint NOT NULL,
    link bytea NOT NULL
);
COMMENT ON COLUMN sink_positions.position IS 'where its reader resumes: a place in the site log, or an offset';
COMMENT ON COLUMN sink_positions.log_position IS 'the farthest row of the log taken in; link is its hash';

CREATE TABLE refused_rows (
    source text COLLATE "C" NOT NULL,
    log_position bigint NOT NULL,
    sqlstate text NOT NULL,
    PRIMARY KEY (source, log_position)
);
COMMENT ON TABLE refused_rows IS 'rows of a log that no table could take; the log holds them';

CREATE TABLE events (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    log_id text NOT NULL,
    log_position bigint NOT NULL,
    link bytea NOT NULL,
    fold_version integer NOT NULL,
    fact jsonb NOT NULL,
    PRIMARY KEY (device, device_seq, recorded_at)
);
SELECT make_timed('events', 'recorded_at');
CREATE INDEX events_by_type ON events (device, type, recorded_at);

CREATE TABLE device_configurations (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    kind text NOT NULL,
    make text NOT NULL,
    model text NOT NULL,
    serial text NOT NULL,
    ae_title text NOT NULL,
    enforcement text NOT NULL,
    ring text NOT NULL,
    modes text[] NOT NULL,
    phantoms jsonb NOT NULL,
    qc jsonb NOT NULL,
    PRIMARY KEY (device, device_seq)
);

CREATE TABLE clinic_calendars (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    clinics jsonb NOT NULL,
    PRIMARY KEY (device, device_seq)
);

CREATE TABLE stage_changes (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    stage text NOT NULL,
    previous text NOT NULL,
    PRIMARY KEY (device, device_seq, stage)
);

CREATE TABLE fault_reports (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    fault_id text NOT NULL,
    is_cleared boolean NOT NULL,
    stops_scanning boolean NOT NULL,
    text text NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
