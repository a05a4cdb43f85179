-- Gates: every change, and the last of each mode.

CREATE TABLE gate_changes (
    device text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    device_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    status text NOT NULL,
    since timestamptz NOT NULL,
    valid_until timestamptz,
    reason_codes text[] NOT NULL,
    warning_codes text[] NOT NULL,
    reasons jsonb NOT NULL,
    overridden_until timestamptz,
    overridden_by text NOT NULL,
    PRIMARY KEY (device, mode, device_seq, recorded_at)
);
CREATE TABLE gates (LIKE gate_changes, PRIMARY KEY (device, mode));
SELECT make_timed('gate_changes', 'recorded_at');
COMMENT ON COLUMN gate_changes.effective_at IS 'when it took effect: the deadline that was reached, or recorded_at';
COMMENT ON COLUMN gate_changes.reason_codes IS 'codes that hold; warning_codes only warn';
