//! The contract on every store, and buckets as the tests open them.

use std::time::Duration;

use quotad::snapshot::objects::{
    Credentials, Encryption, Objects, ObjectsPlace, ObjectsSettings, S3Settings,
};

use crate::contract;
use crate::moto::Moto;
use crate::s3_server::{KEY_ID, S3Server, SECRET};

/// The bucket of the tests.
pub const BUCKET: &str = "quotad-snapshots";

/// Long enough for everything that works.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A runtime as background work has one.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(work)
}

/// A bucket on this machine.
pub fn bucket(port: u16, prefix: &str) -> S3Settings {
    S3Settings {
        bucket: BUCKET.to_owned(),
        prefix: prefix.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        is_path_style: true,
        encryption: Encryption::Default,
        credentials: Credentials::Keys { id: KEY_ID.to_owned(), secret: SECRET.to_owned(), token: None },
    }
}

/// Opens a place.
pub fn open(place: ObjectsPlace, request_timeout: Duration) -> Objects {
    let settings = ObjectsSettings { place, request_timeout, connect_timeout: Duration::from_secs(5) };
    Objects::open(&settings).expect("the place can be opened")
}

/// Opens a bucket.
pub fn open_bucket(bucket: S3Settings) -> Objects {
    open(ObjectsPlace::S3(Box::new(bucket)), REQUEST_TIMEOUT)
}

#[test]
fn memory_keeps_the_contract() {
    let objects = open(ObjectsPlace::Memory, REQUEST_TIMEOUT);
    run(contract::check(&objects));
    run(contract::check_writers_at_once(&objects));
}

#[test]
fn a_folder_keeps_the_contract() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let folder = dir.path().join("a/b");
    let objects = open(ObjectsPlace::Folder(folder.clone()), REQUEST_TIMEOUT);
    run(contract::check(&objects));
    run(contract::check_writers_at_once(&objects));
    assert_eq!(objects.describe(), format!("folder {}", folder.display()));
    let other = open(ObjectsPlace::Folder(folder.clone()), REQUEST_TIMEOUT);
    run(contract::check_two_see_the_same(&objects, &other));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&folder).expect("it was made"));
    assert_eq!(mode & 0o777, 0o700, "snapshots hold all keys");
}

#[test]
fn a_bucket_keeps_the_contract() {
    let server = S3Server::start(BUCKET);
    check_bucket(server.port());
    let files = std::fs::read_dir(server.folder().join(BUCKET)).expect("the bucket is a folder");
    assert_eq!(files.count(), 2, "nothing stands outside of the two prefixes");
}

#[test]
fn a_bucket_of_moto_keeps_the_contract() {
    let server = Moto::start();
    make_bucket(server.port());
    check_bucket(server.port());
}

fn check_bucket(port: u16) {
    let objects = open_bucket(bucket(port, "first/of.two"));
    assert_eq!(objects.describe(), format!("s3://{BUCKET}/first/of.two at http://127.0.0.1:{port}"));
    run(contract::check(&objects));
    let same = open_bucket(bucket(port, "first/of.two"));
    run(contract::check_two_see_the_same(&objects, &same));
    let below = open_bucket(S3Settings { encryption: Encryption::Aes256, ..bucket(port, "second") });
    run(contract::check_two_do_not_meet(&objects, &below));
}

/// moto begins without buckets, and quotad makes none.
fn make_bucket(port: u16) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("moto listens");
    let head = format!(
        "PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("moto reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("moto answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
