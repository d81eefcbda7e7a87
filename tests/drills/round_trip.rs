//! Whatever was done to a server, what comes back from its snapshot answers as it did.

use crate::answers::Answers;
use crate::client::Client;
use crate::histories::{history, writing_commands};
use crate::program::Running;
use crate::site::{Site, kill};
use crate::state::call;
use crate::support::Reply;

/// How many histories there are of each kind, and the calls of one.
const HISTORIES: u64 = 20;
const CALLS: usize = 400;

/// The share of calls that may be refused, since keys have values of other kinds.
const MOST_REFUSED: usize = CALLS / 3;

/// Does what the seed says to an empty server, and writes a snapshot; answers its name and what is there.
fn lived(server: &Running, seed: u64) -> (String, Answers) {
    let mut client = Client::of(server);
    client.check("FLUSHALL", "OK");
    let mut refused = 0;
    for words in history(seed, CALLS) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        refused += usize::from(matches!(call(&mut client, &words), Reply::Error(_)));
    }
    assert!(refused <= MOST_REFUSED, "seed {seed}: {refused} calls were refused");
    let Reply::Many(_, facts) = client.call("QUOTA.SNAPSHOT") else { panic!("a snapshot is written") };
    let Reply::Bulk(id) = &facts[1] else { panic!("a snapshot has a name") };
    let answers = Answers::of(server);
    assert!(answers.keys() > 10, "seed {seed}: {} keys are few", answers.keys());
    (crate::program::text(id), answers)
}

#[test]
fn a_truth_that_is_restored_answers_as_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path().join("one"), &[]);
    let server = site.start();
    for seed in 0..HISTORIES {
        let (id, before) = lived(&server, seed);
        let fresh = folder.path().join(format!("fresh-{seed}"));
        let into = format!("sqlite:{}", fresh.join("truth.sqlite").display());
        std::fs::create_dir(&fresh).unwrap();
        let (code, told) = site.snapshot(&["restore", &id, "--into", &into]);
        assert_eq!(code, Some(0), "{told}");
        let restored = Site::new(&fresh, &["--snapshots", "none"]).start();
        before.check_same(&Answers::of(&restored), &format!("history of seed {seed}"));
        kill(restored);
    }
    kill(server);
}

#[test]
fn memory_that_is_loaded_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &["--truth", "none"]);
    let mut server = site.start();
    for seed in HISTORIES..2 * HISTORIES {
        let (_, before) = lived(&server, seed);
        kill(server);
        server = site.start();
        before.check_same(&Answers::of(&server), &format!("history of seed {seed}"));
    }
    kill(server);
}

#[test]
fn histories_call_whatever_changes_keys() {
    let calls = |name: &str| {
        (0..HISTORIES).any(|seed| history(seed, CALLS).iter().any(|words| words[0] == name.as_bytes()))
    };
    for name in writing_commands() {
        assert!(calls(name), "no history calls {name}");
    }
}
