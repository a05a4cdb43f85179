-- Judged readings: the revision that stands and every one there was; baselines, reviews and what people decided.

CREATE TABLE qc_readings (
    device text COLLATE "C" NOT NULL,
    subject_event_id text COLLATE "C" NOT NULL,
    measured_at timestamptz NOT NULL,
    revision integer NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    outcome_id text COLLATE "C" NOT NULL,
    role text NOT NULL,
    phantom_id text NOT NULL,
    region text NOT NULL,
    verdict text NOT NULL,
    plausible boolean NOT NULL,
    note text NOT NULL,
    bmd_g_cm2 double precision,
    epoch integer,
    target_g_cm2 double precision,
    sigma_g_cm2 double precision,
    lower_g_cm2 double precision,
    upper_g_cm2 double precision,
    deviation_percent double precision,
    cusum_upper_sigmas double precision,
    cusum_lower_sigmas double precision,
    cusum_h_sigmas double precision,
    signal boolean,
    violated text[],
    PRIMARY KEY (device, subject_event_id, measured_at)
);
CREATE TABLE qc_revisions (LIKE qc_readings, PRIMARY KEY (device, device_seq, outcome_id, recorded_at));
SELECT make_timed('qc_readings', 'measured_at');
SELECT make_timed('qc_revisions', 'recorded_at');
CREATE INDEX qc_readings_by_phantom ON qc_readings (device, phantom_id, measured_at);
COMMENT ON TABLE qc_readings IS 'each reading as its highest revision says';
COMMENT ON TABLE qc_revisions IS 'every revision that was issued';

CREATE TABLE baselines (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id text NOT NULL,
    phantom_id text NOT NULL,
    epoch integer NOT NULL,
    n integer NOT NULL,
    mean_g_cm2 double precision NOT NULL,
    sd_g_cm2 double precision NOT NULL,
    sigma_g_cm2 double precision NOT NULL,
    lower_g_cm2 double precision NOT NULL,
    upper_g_cm2 double precision NOT NULL,
    established boolean NOT NULL,
    accepted_by text NOT NULL,
    accepted_by_role text NOT NULL,
    reason text NOT NULL,
    step_percent double precision,
    PRIMARY KEY (device, device_seq)
);

CREATE TABLE reviews (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    outcome_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    phantom_id text NOT NULL,
    basis text NOT NULL,
    since timestamptz,
    text text NOT NULL,
    PRIMARY KEY (device, device_seq, outcome_id)
);

CREATE TABLE review_decisions (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    phantom_id text NOT NULL,
    is_release boolean NOT NULL,
    decision text NOT NULL,
    decided_by text NOT NULL,
    decided_by_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);
COMMENT ON COLUMN review_decisions.is_release IS 'release of a confirmed failure; else the decision on a signal';
