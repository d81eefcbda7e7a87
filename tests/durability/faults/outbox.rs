//! A server is killed while its truth is away, and then its outbox is not as it was written: damaged amid its batches, or torn at its end.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::kill::MOST_LOST_MS;
use super::scene::SOME_FLUSHES;
use crate::cluster::Cluster;
use crate::ledger::{Allowed, Ledger};
use crate::load::{CLIENTS, Load};
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::surroundings::{now_ms, outage, pass, seed};

/// Bytes of a segment before its first batch, and of a batch before its payload, as `src/persist/outbox/format.rs` has them.
const HEADER_BYTES: usize = 76;
const FRAME_BYTES: usize = 32;

/// Where a batch says how long its payload is, and which numbers it covers.
const LENGTH_AT: usize = 4;
const FIRST_AT: usize = 8;

/// The least batches that wait, so that some lie before the damage and behind it.
const LEAST_WAITING: usize = 5;

/// The last batch that the truth has.
const APPLIED: &str = "SELECT applied::text FROM owner";

/// The last batch of the epoch before this one.
const LAST_OF_BEFORE: &str =
    "SELECT last_seq::text FROM epochs WHERE last_seq IS NOT NULL ORDER BY epoch DESC LIMIT 1";

/// A batch in the file.
#[derive(Debug)]
struct Frame {
    begin: usize,
    end: usize,
    first_seq: u64,
}

/// What a killed server has left, and its truth.
struct Left {
    cluster: Cluster,
    directory: tempfile::TempDir,
    setup: Setup,
    ledger: Ledger,
    killed_ms: u64,
}

/// A byte of a batch that waits is flipped, and whole batches follow: no start passes over it.
pub fn flipped() -> Row {
    let mut left = Left::begin();
    let server = left.setup.start();
    left.kill_without_truth(server);
    left.cluster.start_again();
    let applied = left.cluster.text(APPLIED);
    let file = left.segment();
    let (batches, first) = left.waiting(&file, &applied);
    let damaged = &batches[batches.len() / 2];
    let outbox = file.parent().expect("a segment lies in its outbox");
    let expected = [
        format!("the outbox is damaged in {} at byte {}: ", file.display(), damaged.begin),
        format!("although a batch follows at byte {}; ", damaged.end),
        format!(
            "to start without it, move the directory {} away: what was not applied in it since batch {first} is lost",
            outbox.display()
        ),
    ];
    // In what stands before the payload, and in the payload.
    let places =
        [damaged.begin, damaged.begin + FIRST_AT, (damaged.begin + damaged.end) / 2, damaged.end - 1];
    for place in places {
        flip(&file, place);
        let refusal = left.setup.refusal();
        for part in &expected {
            assert!(refusal.contains(part), "byte {place}: '{part}' is not in: {refusal}");
        }
        assert_eq!(left.cluster.text(APPLIED), applied, "no part of it was applied");
        flip(&file, place);
    }
    flip(&file, places[2]);
    // What the message says: nothing else is needed.
    let away = tempfile::tempdir_in(left.directory.path()).expect("a directory can be made");
    std::fs::rename(outbox, away.path().join("outbox")).expect("it can be moved");
    let server = left.setup.start();
    assert_eq!(left.cluster.text(LAST_OF_BEFORE), applied, "the truth goes on from where it stood");
    let row = left.settle(&server, Allowed::Unconfirmed);
    assert!(row.lost > 0, "what was in the outbox only is lost, as the message says");
    left.goes_on(server);
    row
}

/// The last batch is cut, as by a crash of the machine in the middle of its write: the start goes on from the batch before.
pub fn torn() -> Row {
    let mut left = Left::begin();
    let mut row = Row::default();
    let mut server = left.setup.start();
    let cuts: [fn(&Frame) -> usize; 3] =
        [|last| last.begin + 1, |last| (last.begin + last.end) / 2, |last| last.end - 1];
    for cut in cuts {
        left.kill_without_truth(server);
        let file = left.segment();
        let bytes = std::fs::read(&file).expect("the segment can be read");
        let frames = frames(&bytes);
        let last = frames.last().expect("batches wait");
        let length = cut(last);
        let opened = File::options().write(true).open(&file).expect("the segment can be opened");
        opened.set_len(u64::try_from(length).expect("it is a length")).expect("it can be cut");
        // While the truth is away it waits, so what it says of the outbox comes behind what it listens on.
        server = left.setup.begin();
        left.cluster.start_again();
        let line = server.line_with("the end of the outbox is torn and is cut");
        let name = file.file_name().and_then(|name| name.to_str()).expect("names are text");
        for part in [
            name.to_owned(),
            format!("\"offset\":{}", last.begin),
            format!("\"bytes\":{}", length - last.begin),
        ] {
            assert!(line.contains(&part), "'{part}' is not in: {line}");
        }
        server.line_with("the truth is this server's");
        let whole = last.first_seq - 1;
        assert_eq!(left.cluster.text(LAST_OF_BEFORE), whole.to_string(), "all whole batches are applied");
        row.add(&left.settle(&server, Allowed::Since(left.killed_ms, MOST_LOST_MS)));
    }
    left.goes_on(server);
    row
}

impl Left {
    fn begin() -> Self {
        let cluster = Cluster::start();
        let directory = tempfile::tempdir().expect("a directory can be made");
        let setup = Setup::postgres(&cluster.url(), directory.path());
        let mut ledger = Ledger::new(seed(), CLIENTS);
        // What the disk had is what these faults take away.
        ledger.keeps_disk = false;
        Self { cluster, directory, setup, ledger, killed_ms: 0 }
    }

    /// Lets the server work, stops the truth, and kills the server when batches wait.
    fn kill_without_truth(&mut self, server: Server) {
        server.wait_until_loaded();
        let load = Load::begin(&mut self.ledger, server.address());
        pass(SOME_FLUSHES);
        self.cluster.stop();
        pass(outage() / 5);
        self.killed_ms = now_ms();
        server.kill();
        load.end(&mut self.ledger);
    }

    /// The segment that was written to last.
    fn segment(&self) -> PathBuf {
        let is_outbox = |path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("outbox-"))
        };
        let outboxes: Vec<_> = paths_in(self.directory.path()).into_iter().filter(is_outbox).collect();
        let [outbox] = &outboxes[..] else { panic!("one outbox is left: {outboxes:?}") };
        paths_in(outbox).into_iter().max().expect("batches wait in it")
    }

    /// The batches that the truth lacks, and the number of the outbox's first one.
    fn waiting(&self, file: &Path, applied: &str) -> (Vec<Frame>, u64) {
        let applied: u64 = applied.parse().expect("batches are numbered");
        let mut frames = frames(&std::fs::read(file).expect("the segment can be read"));
        let first = frames.first().expect("batches wait").first_seq;
        frames.retain(|frame| frame.first_seq > applied);
        assert!(frames.len() >= LEAST_WAITING, "batches wait: {frames:?}");
        (frames, first)
    }

    fn settle(&mut self, server: &Server, allowed: Allowed) -> Row {
        let stored = self.setup.truth().read();
        let row = self.ledger.settle(&stored, allowed);
        server.compare(&self.ledger.names(), &stored);
        row
    }

    /// The server serves and flushes as ever.
    fn goes_on(&mut self, server: Server) {
        let load = Load::begin(&mut self.ledger, server.address());
        pass(SOME_FLUSHES);
        load.end(&mut self.ledger);
        server.wait_for_truth(crate::surroundings::DEADLINE);
        self.settle(&server, Allowed::Nothing);
        assert!(server.terminate().success());
    }
}

fn paths_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory can be read");
    entries.map(|entry| entry.expect("the directory can be read").path()).collect()
}

/// The batches of a segment.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let number = |at: usize, length: usize| {
        bytes[at..at + length].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    let mut frames = Vec::new();
    let mut begin = HEADER_BYTES;
    // A kill may leave a part of one at the end.
    while begin + FRAME_BYTES <= bytes.len() {
        let payload = usize::try_from(number(begin + LENGTH_AT, 4)).expect("it is a length");
        let end = begin + FRAME_BYTES + payload;
        if end > bytes.len() {
            break;
        }
        frames.push(Frame { begin, end, first_seq: number(begin + FIRST_AT, 8) });
        begin = end;
    }
    frames
}

/// Flips one bit of a byte; again, it is as it was.
fn flip(file: &Path, at: usize) {
    let opened = File::options().read(true).write(true).open(file).expect("the segment can be opened");
    let at = u64::try_from(at).expect("it is a place");
    let mut byte = [0];
    opened.read_exact_at(&mut byte, at).expect("the byte is there");
    byte[0] ^= 1;
    opened.write_all_at(&byte, at).expect("the byte can be written");
}
