//! Which snapshots are kept and which is restored, while some of them cannot be read.

use std::fs;

use quotad::clock::Timestamp;
use quotad::snapshot::format::{Manifest, SealingKeys};

use crate::bucket::Bucket;
use crate::client::Client;
use crate::http_proxy::Fault;
use crate::site::{kill, stop};
use crate::state::fill;

const BUSY: Fault = Fault::Answer(503, "SlowDown", "Reduce your rate.");

const DAY_MICROS: u64 = 86_400_000_000;

/// Puts a copy of the only manifest there, as of so many days before; answers the copy's id.
fn put_older(bucket: &Bucket, days: u64) -> String {
    let path = bucket.objects("manifests", ".json").pop().expect("there is one");
    let keys = SealingKeys::new(Vec::new());
    let read = fs::read(&path).expect("it can be read");
    let mut manifest = Manifest::decode(&read, &keys).expect("it is a manifest");
    manifest.cut_at = Timestamp::from_micros(manifest.cut_at.as_micros() - days * DAY_MICROS);
    manifest.seq -= days;
    let id = manifest.snapshot().to_string();
    let name = format!("{:020}-{:020}-{id}.json", manifest.epoch, manifest.seq);
    let written = manifest.encode(&keys).expect("a manifest is written");
    fs::write(path.with_file_name(name), written).expect("it can be written");
    id
}

#[test]
fn what_cannot_be_read_now_is_not_deleted() {
    let bucket = Bucket::start();
    let flags = ["--truth", "none", "--snapshot-keep", "1"];
    let (site, tools) = (bucket.site("one", &flags), bucket.direct("one", &flags));
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    for _ in 0..3 {
        client.check("SAVE", "OK");
    }
    client.until("PING", |_| tools.ids().len() == 1);
    let days = [put_older(&bucket, 1), put_older(&bucket, 2)];

    // Each is the last of its day, and as good as the others.
    bucket.network.script("GET", &format!("{}.json", days[0]), usize::MAX, BUSY);
    client.check("SAVE", "OK");
    let line = server.line_with("old snapshots stay for now");
    assert!(line.contains("503, SlowDown"), "{line}");
    let (code, told) = site.snapshot(&["prune"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("503, SlowDown"), "{told}");
    let ids = tools.ids();
    assert!(days.iter().all(|id| ids.contains(id)) && ids.len() == 4, "{ids:?}");

    bucket.network.reset();
    let (code, told) = site.snapshot(&["prune"]);
    assert_eq!(code, Some(0), "{told}");
    let ids = tools.ids();
    assert!(days.iter().all(|id| ids.contains(id)), "{ids:?}");
    stop(server);
}

#[test]
fn no_older_one_is_restored_unnoticed() {
    let bucket = Bucket::start();
    let site = bucket.site("one", &["--truth", "none"]);
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    client.check("SAVE", "OK");
    client.check("SET text:2 later", "OK");
    client.check("SAVE", "OK");
    kill(server);
    let [newest, older] = &site.ids()[..] else { panic!("there are two") };
    let restore = ["restore", "--into", "sqlite"];
    bucket.network.script("GET", &format!("{newest}.json"), usize::MAX, BUSY);
    let (code, told) = site.snapshot(&restore);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&format!("{newest} cannot be read as things are")), "{told}");
    bucket.network.reset();

    // One that is gone for good makes way, and is named.
    let manifest = bucket.objects("manifests", &format!("{newest}.json")).pop().unwrap();
    fs::write(manifest, b"").unwrap();
    let (code, told) = site.snapshot(&restore);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(&format!(" keys and 0 closed periods of {older} are in the truth")), "{told}");
    assert!(told.contains(&format!("passed over: {newest} is damaged: manifests/")), "{told}");
    let server = bucket.site("one", &[]).start();
    Client::of(&server).check("GET text:2", "\"other\"");
    stop(server);
}
