-- A site that was forgotten begins anew on its topic: what stands there before that counts no longer.

ALTER TABLE sink_positions ADD COLUMN forgotten_at bigint NOT NULL DEFAULT -1;
ALTER TABLE sink_positions ADD COLUMN begins bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN sink_positions.forgotten_at IS 'offset of the last request to forget this source; -1 where there was none';
COMMENT ON COLUMN sink_positions.begins IS 'offset of the first row that counts; -1 while it is waited for';

CREATE OR REPLACE VIEW sink_state AS
SELECT source, position, log_position, set_aside, forgotten_at, begins FROM sink_positions;
