-- Comparisons of scanners over sites: the last of each, as the fleet's topics keep them.

CREATE TABLE cross_calibration_estimates (
    phantom text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    readings bigint NOT NULL,
    compared_at date NOT NULL,
    degrees_of_freedom integer NOT NULL,
    make text NOT NULL,
    model text NOT NULL,
    visits integer NOT NULL,
    first_visit date NOT NULL,
    last_visit date NOT NULL,
    slope double precision,
    slope_lower double precision,
    slope_upper double precision,
    intercept_g_cm2 double precision,
    intercept_lower_g_cm2 double precision,
    intercept_upper_g_cm2 double precision,
    residual_sd_g_cm2 double precision,
    PRIMARY KEY (phantom, device)
);
CREATE TABLE cross_calibration_levels (
    phantom text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    consensus_g_cm2 double precision NOT NULL,
    trend_g_cm2_per_year double precision,
    visit_sd_g_cm2 double precision,
    difference_percent double precision,
    difference_lower_percent double precision,
    difference_upper_percent double precision,
    PRIMARY KEY (phantom, device, region),
    FOREIGN KEY (phantom, device) REFERENCES cross_calibration_estimates ON DELETE CASCADE
);
CREATE TABLE shared_step_estimates (
    make text COLLATE "C" NOT NULL,
    software text COLLATE "C" NOT NULL,
    readings bigint NOT NULL,
    since date NOT NULL,
    percent double precision NOT NULL,
    lower_percent double precision,
    upper_percent double precision,
    between_sd_percent double precision NOT NULL,
    shared boolean NOT NULL,
    PRIMARY KEY (make, software)
);
CREATE TABLE shared_step_scanners (
    make text COLLATE "C" NOT NULL,
    software text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    since date NOT NULL,
    percent double precision NOT NULL,
    standard_error_percent double precision NOT NULL,
    n_before integer NOT NULL,
    n_after integer NOT NULL,
    PRIMARY KEY (make, software, device),
    FOREIGN KEY (make, software) REFERENCES shared_step_estimates ON DELETE CASCADE
);
COMMENT ON COLUMN shared_step_estimates.software IS 'the version that the scanners changed to; empty: a step at one time';
COMMENT ON COLUMN shared_step_estimates.shared IS 'beyond what scanners do each on their own';

CREATE VIEW cross_calibrations AS
SELECT *, split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id FROM cross_calibration_estimates;
CREATE VIEW cross_calibration_differences AS
SELECT *, split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id FROM cross_calibration_levels;
CREATE VIEW shared_steps AS
SELECT e.*, (SELECT count(*) FROM shared_step_scanners s WHERE (s.make, s.software) = (e.make, e.software)) AS scanners
FROM shared_step_estimates e;
CREATE VIEW shared_step_devices AS
SELECT *, split_part(device, '/', 1) AS site, split_part(device, '/', 2) AS device_id FROM shared_step_scanners;

DO $$
DECLARE
    seen text;
BEGIN
    FOREACH seen IN ARRAY
        ARRAY['cross_calibrations', 'cross_calibration_differences', 'shared_steps', 'shared_step_devices']
    LOOP
        EXECUTE format('GRANT SELECT ON %I TO bonewatch_reader', seen);
    END LOOP;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
