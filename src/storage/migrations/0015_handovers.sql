-- Devices in engineers' hands: the stages of a handover, service from afar, comparisons before and after.

CREATE TABLE service_steps (
    device text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    step text NOT NULL,
    handover_id text COLLATE "C" NOT NULL,
    engineer text NOT NULL,
    company text NOT NULL,
    person text NOT NULL,
    person_role text NOT NULL,
    text text NOT NULL,
    report text NOT NULL,
    affected text[] NOT NULL,
    accepted boolean,
    step_percent double precision,
    PRIMARY KEY (device, device_seq)
);
CREATE INDEX service_steps_by_handover ON service_steps (device, handover_id);
COMMENT ON TABLE service_steps IS 'handed_over, handed_back, return_decided, remote, verified: each step with who took it';
COMMENT ON COLUMN service_steps.accepted IS 'of handed_back: it works; of return_decided: it returns';

CREATE VIEW handovers AS
SELECT o.device, o.handover_id, o.recorded_at AS handed_over_at, o.person AS handed_over_by, o.engineer, o.company,
       o.text AS reason, b.recorded_at AS handed_back_at, b.text AS work_done, b.affected, b.accepted AS is_working,
       b.report, r.recorded_at AS decided_at, r.person AS decided_by, r.accepted AS returned, r.text AS note
FROM service_steps o
LEFT JOIN service_steps b ON b.device = o.device AND b.handover_id = o.handover_id AND b.step = 'handed_back'
LEFT JOIN LATERAL (
    SELECT * FROM service_steps d
    WHERE d.device = o.device AND d.handover_id = o.handover_id AND d.step = 'return_decided'
    ORDER BY d.device_seq DESC LIMIT 1
) r ON true
WHERE o.step = 'handed_over';

DO $$
BEGIN
    GRANT SELECT ON handovers TO bonewatch_reader;
EXCEPTION
    WHEN undefined_object OR insufficient_privilege THEN
        RAISE NOTICE 'bonewatch_reader was not granted: %', SQLERRM;
END
$$;
