-- The sealed bytes of a small file lie in its row, so that a file and its name are one commit. NULL: they lie in the folder
-- of files, as those of all rows from before do. What is sealed does not compress, so nobody tries.
ALTER TABLE {log}.files ADD COLUMN content bytea;
ALTER TABLE {log}.files ALTER COLUMN content SET STORAGE EXTERNAL;

-- An erasure empties rows. It can do nothing else to them, and whoever owns the table is told so as well.
CREATE FUNCTION {log}.refuse_other_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the bytes of a file are only ever removed' USING ERRCODE = 'VG002';
END
$$;
REVOKE ALL ON FUNCTION {log}.refuse_other_content FROM PUBLIC;
CREATE TRIGGER files_content_never_changes BEFORE UPDATE ON {log}.files FOR EACH ROW
    WHEN (NEW.content IS NOT NULL AND NEW.content IS DISTINCT FROM OLD.content)
    EXECUTE FUNCTION {log}.refuse_other_content();

-- Whose rows they are, and whether they are empty already. The bytes are nothing without the key, which the eraser cannot read.
GRANT USAGE ON SCHEMA {log} TO brojobs_eraser;
GRANT SELECT (uploaded_by, key, content), UPDATE (content) ON {log}.files TO brojobs_eraser;
