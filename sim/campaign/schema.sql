-- One file holds a campaign: what is to be done, and a row for every tile that was.

-- Facts about the file, such as the identity of the hardware's description.
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- A network with one sample on one chip. `identity`: what was asked for, as JSON. `plan`: digest of its mapping.
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, network TEXT NOT NULL, about TEXT NOT NULL,
    network_hash TEXT NOT NULL, sample INTEGER NOT NULL, seed INTEGER NOT NULL, chip TEXT NOT NULL, plan TEXT NOT NULL
);

-- Passes of a run. `image`, `sample`: SHA-256 of its two files, NULL as long as they are not made. `seconds`: to make them.
CREATE TABLE passes (
    run INTEGER NOT NULL REFERENCES runs, pass INTEGER NOT NULL, cores INTEGER NOT NULL,
    image TEXT, sample TEXT, seconds REAL, PRIMARY KEY (run, pass)
) WITHOUT ROWID;

-- What a pass holds of each layer. `stage` 0: comes from the host.
CREATE TABLE extents (
    run INTEGER NOT NULL, pass INTEGER NOT NULL, position INTEGER NOT NULL, layer TEXT NOT NULL, stage INTEGER NOT NULL,
    channel0 INTEGER NOT NULL, channels INTEGER NOT NULL, y0 INTEGER NOT NULL, height INTEGER NOT NULL,
    x0 INTEGER NOT NULL, width INTEGER NOT NULL,
    PRIMARY KEY (run, pass, position), FOREIGN KEY (run, pass) REFERENCES passes
) WITHOUT ROWID;

-- Tiles that are to be run. `activations`: that it holds. `shape`: what it does. `wanted`: whether some command asked for it.
CREATE TABLE cores (
    run INTEGER NOT NULL, pass INTEGER NOT NULL, y INTEGER NOT NULL, x INTEGER NOT NULL, layer TEXT NOT NULL,
    stage INTEGER NOT NULL, part INTEGER NOT NULL, activations INTEGER NOT NULL, shape TEXT NOT NULL,
    wanted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, pass, y, x), FOREIGN KEY (run, pass) REFERENCES passes
) WITHOUT ROWID;

-- Tiles that were run, each once. `cycles`: of the tile in all; `steps`: of those, from a command until the tile was idle;
-- `sent`: flits that left; `first`: the first activation that differs; `problems`: a line for all else that is wrong. Then
-- the tile's counters. `seconds`, `worker` and `attempt` are the only columns that another run may fill differently.
CREATE TABLE tiles (
    run INTEGER NOT NULL, pass INTEGER NOT NULL, y INTEGER NOT NULL, x INTEGER NOT NULL,
    cycles INTEGER NOT NULL, steps INTEGER NOT NULL, sent INTEGER NOT NULL,
    compared INTEGER NOT NULL, mismatches INTEGER NOT NULL, first TEXT, problems TEXT NOT NULL,
    sops INTEGER, spikes_in INTEGER, spikes_out INTEGER, saturations INTEGER, overflow INTEGER, rejected INTEGER,
    busy INTEGER, stalled INTEGER, hops INTEGER, dropped INTEGER,
    seconds REAL NOT NULL, worker TEXT NOT NULL, attempt INTEGER NOT NULL,
    PRIMARY KEY (run, pass, y, x), FOREIGN KEY (run, pass, y, x) REFERENCES cores
) WITHOUT ROWID;

-- What went wrong with jobs: "worker lost", "time-out", "error"; "failed" for those that were given up.
CREATE TABLE events (
    event INTEGER PRIMARY KEY, time TEXT NOT NULL, run INTEGER NOT NULL, pass INTEGER NOT NULL, kind TEXT NOT NULL,
    cores TEXT NOT NULL, attempt INTEGER NOT NULL, text TEXT NOT NULL
);
