-- Names of files are sealed with the uploader's key, generation `key`; 0 are names from before that.
-- A content that both parties upload is each one's own, so that erasing one leaves the other's.
ALTER TABLE {log}.files ADD COLUMN key bigint NOT NULL DEFAULT 0;
ALTER TABLE {log}.files ALTER COLUMN key DROP DEFAULT;
ALTER TABLE {log}.files DROP CONSTRAINT files_pkey;
ALTER TABLE {log}.files ADD PRIMARY KEY (order_id, file_id, uploaded_by, key);
