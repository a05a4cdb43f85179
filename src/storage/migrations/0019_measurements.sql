-- Measurements of patients as the pathway may use them, and the reviews of those that a device may have got wrong.
-- Not cut into months: they are asked for by request, person and event more than by time, none is ever dropped, and with
-- ten years of months planning alone took longer than the whole answer ought to.

CREATE TABLE measurements (
    device text COLLATE "C" NOT NULL,
    subject_event_id text COLLATE "C" NOT NULL,
    measured_at timestamptz NOT NULL,
    revision integer NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    outcome_id text COLLATE "C" NOT NULL,
    status text NOT NULL,
    accession_number text NOT NULL,
    acquisition_id text NOT NULL,
    pseudonym text NOT NULL,
    mode text NOT NULL,
    anatomy text NOT NULL,
    analysed_at timestamptz,
    reason_codes text[] NOT NULL,
    kind text NOT NULL,
    make text NOT NULL,
    model text NOT NULL,
    serial text NOT NULL,
    software text NOT NULL,
    weight_kg double precision,
    height_cm double precision,
    is_overridden boolean NOT NULL,
    issue_codes text[] NOT NULL,
    qc jsonb NOT NULL,
    changes jsonb NOT NULL,
    decisions text[] NOT NULL,
    gate_since timestamptz,
    released_by text NOT NULL,
    released_by_role text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (device, subject_event_id)
);
CREATE TABLE measurement_revisions (LIKE measurements, PRIMARY KEY (device, device_seq, outcome_id));

CREATE TABLE measurement_values (
    device text COLLATE "C" NOT NULL,
    subject_event_id text COLLATE "C" NOT NULL,
    measured_at timestamptz NOT NULL,
    revision integer NOT NULL,
    place integer NOT NULL,
    region text NOT NULL,
    laterality text NOT NULL,
    bmd_g_cm2 double precision NOT NULL,
    bmc_g double precision,
    area_cm2 double precision,
    t_score double precision,
    z_score double precision,
    PRIMARY KEY (device, subject_event_id, revision, place)
);

CREATE TABLE cross_calibrated_values (
    device text COLLATE "C" NOT NULL,
    subject_event_id text COLLATE "C" NOT NULL,
    measured_at timestamptz NOT NULL,
    revision integer NOT NULL,
    place integer NOT NULL,
    region text NOT NULL,
    bmd_g_cm2 double precision NOT NULL,
    standard_error_g_cm2 double precision NOT NULL,
    as_device text NOT NULL,
    study_id text NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (device, subject_event_id, revision, place)
);

CREATE INDEX measurements_by_event ON measurements (subject_event_id);
CREATE INDEX measurements_by_time ON measurements (measured_at, subject_event_id);
CREATE INDEX measurements_by_device ON measurements (device, measured_at);
CREATE INDEX measurements_by_accession ON measurements (accession_number, measured_at);
CREATE INDEX measurements_by_pseudonym ON measurements (pseudonym, measured_at);
CREATE INDEX measurements_by_status ON measurements (status, measured_at);
CREATE INDEX measurements_by_acquisition ON measurements (device, acquisition_id, measured_at);
COMMENT ON TABLE measurements IS 'each measurement as its highest revision says; of one that is withheld no value';
COMMENT ON TABLE measurement_revisions IS 'every revision that was issued';
COMMENT ON TABLE measurement_values IS 'values as the device gave them: T-score and FRAX take these';
COMMENT ON TABLE cross_calibrated_values IS 'as another scanner would read it: for serial comparison only';

ALTER TABLE reviews
    ADD COLUMN review_id text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN revision integer NOT NULL DEFAULT 0,
    ADD COLUMN place integer NOT NULL DEFAULT 0,
    ADD COLUMN modes text[] NOT NULL DEFAULT '{}',
    ADD COLUMN unit text NOT NULL DEFAULT '',
    ADD COLUMN sizes jsonb NOT NULL DEFAULT '[]';
CREATE INDEX reviews_by_id ON reviews (device, review_id);
ALTER TABLE review_decisions
    ADD COLUMN review_id text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN verdict text NOT NULL DEFAULT '',
    ADD COLUMN unit text NOT NULL DEFAULT '',
    ADD COLUMN sizes jsonb NOT NULL DEFAULT '[]';

CREATE TABLE review_ends (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    place integer NOT NULL,
    recorded_at timestamptz NOT NULL,
    review_id text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (device, device_seq, place)
);

CREATE TABLE review_assessments (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id text NOT NULL,
    review_id text COLLATE "C" NOT NULL,
    method text NOT NULL,
    begins timestamptz NOT NULL,
    likeliest timestamptz NOT NULL,
    spans jsonb NOT NULL,
    shape text NOT NULL,
    readings integer NOT NULL,
    slope_per_day double precision,
    slope_low double precision,
    slope_high double precision,
    is_open boolean NOT NULL,
    unit text NOT NULL,
    sizes jsonb NOT NULL,
    data_digest text NOT NULL,
    PRIMARY KEY (device, device_seq)
);

CREATE TABLE decision_withdrawals (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    review_id text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    withdrawn_by text NOT NULL,
    withdrawn_by_role text NOT NULL,
    PRIMARY KEY (device, device_seq)
);

CREATE TABLE amendments (
    device text COLLATE "C" NOT NULL,
    review_id text COLLATE "C" NOT NULL,
    revision integer NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    outcome_id text COLLATE "C" NOT NULL,
    verdict text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    modes text[] NOT NULL,
    unit text NOT NULL,
    sizes jsonb NOT NULL,
    text text NOT NULL,
    decided_by text NOT NULL,
    decided_by_role text NOT NULL,
    decided_at timestamptz NOT NULL,
    is_withdrawn boolean NOT NULL,
    PRIMARY KEY (device, review_id)
);

-- How far off a device was at a time: a line between the two times around it; beyond the first and last, as there.
CREATE FUNCTION size_at(sizes jsonb, at timestamptz)
RETURNS TABLE (size double precision, size_low double precision, size_high double precision)
LANGUAGE sql STABLE AS $$
    WITH points AS (
        SELECT (p ->> 0)::timestamptz AS t, (p ->> 1)::double precision AS s, (p ->> 2)::double precision AS l,
               (p ->> 3)::double precision AS h
        FROM jsonb_array_elements(sizes) p
    ), earlier AS (
        SELECT * FROM points WHERE t <= at ORDER BY t DESC LIMIT 1
    ), later AS (
        SELECT * FROM points WHERE t > at ORDER BY t LIMIT 1
    )
    SELECT CASE WHEN b.t IS NULL THEN a.s WHEN a.t IS NULL OR b.t = at THEN b.s ELSE b.s + (a.s - b.s) * f.part END,
           CASE WHEN b.t IS NULL THEN a.l WHEN a.t IS NULL OR b.t = at THEN b.l ELSE b.l + (a.l - b.l) * f.part END,
           CASE WHEN b.t IS NULL THEN a.h WHEN a.t IS NULL OR b.t = at THEN b.h ELSE b.h + (a.h - b.h) * f.part END
    FROM (SELECT 1) one LEFT JOIN earlier b ON true LEFT JOIN later a ON true
    CROSS JOIN LATERAL (
        SELECT (extract(epoch FROM at - b.t) / extract(epoch FROM a.t - b.t))::double precision AS part
    ) f
$$;

-- Of several analyses of one acquisition the newest counts, whatever was decided about it.
CREATE VIEW current_measurements AS
SELECT m.device, split_part(m.device, '/', 1) AS site, split_part(m.device, '/', 2) AS device_id, m.subject_event_id,
       m.measured_at, m.revision, m.recorded_at, m.status AS standing,
       CASE WHEN m.acquisition_id <> '' AND EXISTS (
           SELECT 1 FROM measurements n
           WHERE n.device = m.device AND n.acquisition_id = m.acquisition_id
             AND n.subject_event_id <> m.subject_event_id
             AND (coalesce(n.analysed_at, '-infinity'), n.device_seq)
                 > (coalesce(m.analysed_at, '-infinity'), m.device_seq)
       ) THEN 'superseded' ELSE m.status END AS status,
       m.accession_number, m.acquisition_id, m.pseudonym, m.mode, m.anatomy, m.analysed_at, m.reason_codes, m.kind,
       m.make, m.model, m.serial, m.software, m.weight_kg, m.height_cm, m.is_overridden, m.issue_codes, m.qc,
       m.changes, m.decisions, m.gate_since, m.released_by, m.released_by_role, m.reason
FROM measurements m;

CREATE VIEW current_measurement_values AS
SELECT v.device, v.subject_event_id, m.measured_at, v.place, v.region, v.laterality, v.bmd_g_cm2, v.bmc_g, v.area_cm2,
       v.t_score, v.z_score
FROM measurement_values v
JOIN measurements m USING (device, subject_event_id, revision);

CREATE VIEW current_cross_calibrated AS
SELECT c.device, c.subject_event_id, m.measured_at, c.place, c.region, c.bmd_g_cm2, c.standard_error_g_cm2,
       c.as_device, c.study_id, c.version
FROM cross_calibrated_values c
JOIN measurements m USING (device, subject_event_id, revision);

CREATE VIEW amended_measurements AS
SELECT m.device, m.site, m.device_id, m.subject_event_id, m.measured_at, m.mode, m.accession_number, m.pseudonym,
       m.status, a.review_id, a.revision AS amendment_revision, a.verdict, a.text, a.unit, s.size, s.size_low,
       s.size_high, a.since, a.until, a.decided_by, a.decided_at
FROM amendments a
JOIN current_measurements m ON m.device = a.device AND m.measured_at >= a.since AND m.measured_at <= a.until
  AND (cardinality(a.modes) = 0 OR m.mode = ANY (a.modes))
CROSS JOIN LATERAL size_at(a.sizes, m.measured_at) s
WHERE NOT a.is_withdrawn AND a.verdict <> 'none' AND m.standing <> 'withheld';

-- A decision without a review's id (of before there were any) is about what was open on its phantom.
CREATE VIEW review_decisions_in_force AS
SELECT r.device, r.review_id, d.device_seq, d.recorded_at AS decided_at, d.verdict, d.decision, d.decided_by
FROM (SELECT device, review_id, phantom_id, min(device_seq) AS device_seq FROM reviews
      WHERE review_id <> '' GROUP BY device, review_id, phantom_id) r
JOIN review_decisions d ON d.device = r.device AND NOT d.is_release AND d.device_seq > r.device_seq
  AND (d.review_id = r.review_id OR (d.review_id = '' AND d.phantom_id = r.phantom_id))
WHERE NOT EXISTS (
    SELECT 1 FROM decision_withdrawals w
    WHERE w.device = r.device AND w.review_id = r.review_id AND w.device_seq > d.device_seq
);

CREATE VIEW review_status AS
SELECT r.device, split_part(r.device, '/', 1) AS site, split_part(r.device, '/', 2) AS device_id, r.review_id,
       l.phantom_id, r.bases, r.text, r.opened_at, least(l.since, a.earliest) AS since, e.until, l.modes,
       coalesce(a.unit, s.unit, '') AS unit, coalesce(a.sizes, s.sizes, '[]') AS sizes,
       a.method, a.likeliest, a.spans, a.shape, a.slope_per_day, a.slope_low, a.slope_high, a.readings,
       a.is_open AS onset_is_open, a.recorded_at AS assessed_at,
       coalesce(d.verdict, '') AS verdict, coalesce(d.decision, '') AS decision, coalesce(d.decided_by, '') AS decided_by,
       d.decided_at, d.device_seq IS NULL AS is_open
FROM (
    SELECT device, review_id, min(recorded_at) AS opened_at, array_agg(DISTINCT basis ORDER BY basis) AS bases,
           string_agg(text, '; ' ORDER BY device_seq, place) AS text
    FROM reviews WHERE review_id <> '' GROUP BY device, review_id
) r
JOIN LATERAL (
    SELECT * FROM reviews o WHERE o.device = r.device AND o.review_id = r.review_id
    ORDER BY o.revision DESC, o.device_seq DESC LIMIT 1
) l ON true
LEFT JOIN LATERAL (
    SELECT o.unit, o.sizes FROM reviews o WHERE o.device = r.device AND o.review_id = r.review_id AND o.sizes <> '[]'
    ORDER BY o.revision DESC, o.device_seq DESC LIMIT 1
) s ON true
LEFT JOIN LATERAL (  -- what ended before something new told of the same is no end
    SELECT x.until FROM review_ends x
    WHERE x.device = r.device AND x.review_id = r.review_id AND (x.device_seq, x.place) > (l.device_seq, l.place)
    ORDER BY x.device_seq DESC, x.place DESC LIMIT 1
) e ON true
LEFT JOIN LATERAL (  -- one of a review that was decided then says nothing
    SELECT x.*, min(x.begins) OVER () AS earliest FROM review_assessments x
    WHERE x.device = r.device AND x.review_id = r.review_id AND NOT EXISTS (
        SELECT 1 FROM review_decisions d
        WHERE d.device = x.device AND d.review_id = x.review_id AND d.device_seq < x.device_seq AND NOT EXISTS (
            SELECT 1 FROM decision_withdrawals w
            WHERE w.device = d.device AND w.review_id = d.review_id
              AND w.device_seq > d.device_seq AND w.device_seq < x.device_seq
        )
    )
    ORDER BY x.device_seq DESC LIMIT 1
) a ON true
LEFT JOIN LATERAL (
    SELECT * FROM review_decisions_in_force x WHERE x.device = r.device AND x.review_id = r.review_id
    ORDER BY x.device_seq DESC LIMIT 1
) d ON true;

CREATE VIEW review_measurements AS
SELECT s.review_id, m.*, z.size, z.size_low, z.size_high, s.unit AS size_unit
FROM review_status s
JOIN current_measurements m ON m.device = s.device AND m.measured_at >= s.since
  AND m.measured_at <= coalesce(s.until, now()) AND (cardinality(s.modes) = 0 OR m.mode = ANY (s.modes))
CROSS JOIN LATERAL size_at(s.sizes, m.measured_at) z
WHERE m.status IN ('validated', 'released');

CREATE VIEW review_worklist AS
SELECT s.*, c.measurements
FROM review_status s
CROSS JOIN LATERAL (
    SELECT count(*) AS measurements FROM review_measurements m WHERE m.device = s.device AND m.review_id = s.review_id
) c
WHERE s.is_open;

-- Linked to patients, by request and pseudonym: for the role bonewatch_clinical, never for Grafana's reader.
DO $$
DECLARE
    seen text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bonewatch_clinical') THEN
        CREATE ROLE bonewatch_clinical NOLOGIN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO bonewatch_clinical', current_schema());
    FOR seen IN SELECT viewname FROM pg_views WHERE schemaname = current_schema() LOOP
        EXECUTE format('GRANT SELECT ON %I TO bonewatch_clinical', seen);
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        RAISE NOTICE 'bonewatch_clinical was not made: %', SQLERRM;
END
$$;
DO $$
BEGIN
    GRANT SELECT ON review_status, review_worklist, review_decisions_in_force TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
