-- The journal's tables, version 1. Run in one transaction, with the journal's schema as the search path.

-- One row: where the log ends and begins. Whoever appends changes it first, so it is what fences.
CREATE TABLE head (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    identity  bigint  NOT NULL,            -- drawn when the journal was made; every checksum begins with it
    next      bigint  NOT NULL DEFAULT 1,  -- the position that the next event takes
    ended     bigint  NOT NULL DEFAULT 1,  -- where the last commit ended; below next only right after a leap
    follows   bigint  NOT NULL DEFAULT 1,  -- where the commit before the last one ended
    epoch     bigint  NOT NULL DEFAULT 0,  -- the highest epoch any commit was made under
    first     bigint  NOT NULL DEFAULT 1,  -- the first position that can still be read
    first_at  bigint  NOT NULL DEFAULT 0   -- when the commit before that was made
) WITH (fillfactor = 10);

CREATE TABLE commits (
    position  bigint  PRIMARY KEY,         -- of its first event
    follows   bigint  NOT NULL,            -- where the commit before it ended
    epoch     bigint  NOT NULL,
    at        bigint  NOT NULL,            -- microseconds since 1970 UTC
    events    bigint  NOT NULL,
    bytes     bytea   NOT NULL,
    checksum  bigint  NOT NULL
);
-- Commits are small and must be quick: what compressing saves in bytes it costs in the time of every append.
ALTER TABLE commits ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE archive (
    stream    text    NOT NULL,
    position  bigint  NOT NULL,
    epoch     bigint  NOT NULL,
    at        bigint  NOT NULL,
    events    bigint  NOT NULL,
    bytes     bytea   NOT NULL,
    checksum  bigint  NOT NULL,
    PRIMARY KEY (stream, position)
);

CREATE TABLE snapshots (
    id        bigint   PRIMARY KEY,
    state     smallint NOT NULL DEFAULT 0, -- 0 being written, 1 whole, 2 dropped
    stream    text     NOT NULL,
    position  bigint   NOT NULL,
    epoch     bigint   NOT NULL,
    at        bigint   NOT NULL DEFAULT 0,
    bytes     bigint   NOT NULL DEFAULT 0,
    rows      bigint   NOT NULL DEFAULT 0,
    pages     bigint   NOT NULL DEFAULT 0,
    checksum  bigint   NOT NULL DEFAULT 0  -- of the last page, which is chained to all before it
);

CREATE TABLE snapshot_pages (
    snapshot  bigint  NOT NULL,
    number    bigint  NOT NULL,
    bytes     bytea   NOT NULL,
    checksum  bigint  NOT NULL,
    PRIMARY KEY (snapshot, number)
);
ALTER TABLE snapshot_pages ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- One row: who leads. Replaced by comparing.
CREATE TABLE leadership (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch     bigint  NOT NULL DEFAULT 0,
    beat      bigint  NOT NULL DEFAULT 0,
    server    text,
    address   text
) WITH (fillfactor = 10);

INSERT INTO leadership DEFAULT VALUES;
