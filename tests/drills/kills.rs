//! A server that is killed at each stage of an upload: no half snapshot is ever seen, and the next one is whole.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::client::Client;
use crate::http_proxy::Fault;
use crate::program::Running;
use crate::site::{Site, kill, stop};
use crate::state::{call, fill, peek};

/// The request that is held while the server is killed, and whether the store has done what it asks for.
const STAGES: [(&str, Fault); 7] = [
    ("writers/", Fault::Hold),
    ("writers/", Fault::HoldAnswer),
    ("000000.part", Fault::Hold),
    ("000001.part", Fault::Hold),
    ("000001.part", Fault::HoldAnswer),
    ("manifests/", Fault::Hold),
    ("manifests/", Fault::HoldAnswer),
];

/// Values that cannot be packed: two parts of up to 4 MiB.
const LARGE_KEYS: u64 = 5;
const LARGE_BYTES: usize = 1 << 20;

/// Longer than parts without a manifest stay.
const LONG_AGO: Duration = Duration::from_secs(25 * 3_600);

fn fill_large(client: &mut Client) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for key in 0..LARGE_KEYS {
        let mut value = Vec::with_capacity(LARGE_BYTES);
        while value.len() < LARGE_BYTES {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value.extend(state.to_le_bytes());
        }
        call(client, &[b"SET", format!("large:{key}").as_bytes(), &value]);
    }
}

#[track_caller]
fn verify(tools: &Site, words: &[&str]) {
    let (code, told) = tools.snapshot(&[&["verify"], words].concat());
    assert_eq!(code, Some(0), "{told}");
}

/// Brings a server to the stage and kills it there.
fn kill_at(bucket: &Bucket, site: &Site, server: Running, (part, fault): (&str, Fault), number: usize) {
    if part == "writers/" {
        kill(server);
        bucket.network.script("PUT", part, usize::MAX, fault);
        let starting = site.begin();
        bucket.network.until_held();
        kill(starting);
    } else {
        let mut client = Client::of(&server);
        client.check(&format!("SET stage {number}"), "OK");
        client.call("WAIT 1 30000");
        bucket.network.script("PUT", part, usize::MAX, fault);
        client.stream.write_all(b"SAVE\r\n").expect("the server reads");
        bucket.network.until_held();
        kill(server);
    }
    bucket.network.reset();
}

/// What is left is a start that knows all it should, and the next snapshot is one.
fn check(truth: &str) {
    let bucket = Bucket::start();
    let flags = ["--truth", truth];
    let (site, tools) = (bucket.site("one", &flags), bucket.direct("one", &flags));
    let mut server = site.start();
    let mut client = Client::of(&server);
    fill_large(&mut client);
    fill(&mut client);
    client.check("SET stage none", "OK");
    client.check("SAVE", "OK");
    let mut stage = "none".to_owned();
    for (number, at) in STAGES.into_iter().enumerate() {
        let before = tools.ids();
        kill_at(&bucket, &site, server, at, number);
        let is_whole = at == ("manifests/", Fault::HoldAnswer);
        let after = tools.ids();
        assert_eq!(after.len(), before.len() + usize::from(is_whole), "{truth} at {at:?}: {after:?}");
        verify(&tools, &[]);
        // Without a truth the last snapshot is all there is.
        if at.0 != "writers/" && (truth != "none" || is_whole) {
            stage = number.to_string();
        }

        server = site.start();
        let mut client = Client::of(&server);
        client.check("GET stage", &format!("\"{stage}\""));
        peek(&mut client, 98);
        for key in 0..LARGE_KEYS {
            client.check(&format!("STRLEN large:{key}"), &format!("(integer) {LARGE_BYTES}"));
        }
        client.check("SAVE", "OK");
        assert_eq!(tools.ids().len(), after.len() + 1, "{truth} behind {at:?}");
        verify(&tools, &[]);
    }
    check_leftovers(&bucket, &tools, &server);
    stop(server);
    verify(&tools, &["--all"]);
}

/// Parts without a manifest stay for a day, since another server may still be at it, and go then.
fn check_leftovers(bucket: &Bucket, tools: &Site, server: &Running) {
    let mut client = Client::of(server);
    client.check("SAVE", "OK");
    let left = bucket.loose_parts(tools).len();
    assert!(left >= 3, "part 1 with its answer held, and two without a manifest: {left}");
    let told = tools.snapshot(&["prune", "--dry-run"]).1;
    assert_eq!(told, "would delete 0 snapshots and 0 parts without one\n");
    for part in bucket.objects("parts", ".part") {
        let file = File::options().write(true).open(part).expect("a part is a file");
        let written = file.metadata().and_then(|about| about.modified()).expect("it has a time");
        file.set_modified(written - LONG_AGO).expect("its time can be set");
    }
    let told = tools.snapshot(&["prune", "--dry-run"]).1;
    assert_eq!(told, format!("would delete 0 snapshots and {left} parts without one\n"));
    client.check("SAVE", "OK");
    client.until("PING", |_| bucket.loose_parts(tools).is_empty());
}

#[test]
fn a_kill_at_each_stage_of_an_upload_leaves_whole_snapshots_in_front_of_a_truth() {
    check("sqlite");
}

#[test]
fn a_kill_at_each_stage_of_an_upload_leaves_whole_snapshots_without_a_truth() {
    check("none");
}
