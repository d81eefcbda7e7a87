//! What comes of faults on the way to a bucket: the right result, or a clear error in time.

use std::time::Duration;

use bytes::Bytes;
use quotad::clock::Stopwatch;
use quotad::snapshot::objects::{Created, Objects, ObjectsError, ObjectsPlace};

use crate::http_proxy::{Fault, HttpProxy};
use crate::s3_server::S3Server;
use crate::stores::{BUCKET, bucket, open, run};

/// The time of a request where nothing is to end for want of it: all pauses between tries are 3.2 s at most.
const AMPLE: Duration = Duration::from_secs(20);

/// The time of a request where it is to end.
const SHORT: Duration = Duration::from_millis(1_000);

/// By how much an operation may be late on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// Longer than any request here has.
const LONG: Fault = Fault::Delay(Duration::from_secs(25));

/// Tries of a request.
const TRIES: usize = 4;

/// The method and a part of the target of each request that `every_operation` needs.
const REQUESTS: [(&str, &str); 5] =
    [("PUT", "create/"), ("PUT", "put/"), ("GET", "read/a"), ("GET", "list-type"), ("DELETE", "delete/")];

/// A store behind a network that misbehaves.
struct Stage {
    // Ended in this order.
    proxy: HttpProxy,
    server: S3Server,
}

impl Stage {
    fn new() -> Self {
        let server = S3Server::start(BUCKET);
        Self { proxy: HttpProxy::start(server.port()), server }
    }

    fn objects(&self, request_timeout: Duration) -> Objects {
        open(ObjectsPlace::S3(Box::new(bucket(self.proxy.port(), "p"))), request_timeout)
    }

    /// The store without the network.
    fn direct(&self) -> Objects {
        open(ObjectsPlace::S3(Box::new(bucket(self.server.port(), "p"))), AMPLE)
    }
}

fn content() -> Bytes {
    Bytes::from(vec![7; 3 << 20])
}

/// Runs every operation once, each on an object of its own that is as it should be.
async fn every_operation(
    objects: &Objects,
    direct: &Objects,
) -> Vec<(&'static str, Result<(), ObjectsError>)> {
    for name in ["read/a", "delete/a"] {
        direct.put(name, content()).await.unwrap();
    }
    let length = content().len() as u64;
    let results = vec![
        ("PUT", objects.create("create/a", content()).await.map(|created| assert_eq!(created, Created::New))),
        ("PUT", objects.put("put/a", content()).await),
        ("GET", objects.read("read/a", length).await.map(|read| assert!(read == content()))),
        ("GET", objects.list("read").await.map(|listed| assert_eq!(listed.len(), 1))),
        ("DELETE", objects.delete(&["delete/a".to_owned()]).await),
    ];
    let names = ["create/a", "put/a", "read/a", "delete/a"].map(str::to_owned);
    direct.delete(&names).await.unwrap();
    results
}

/// Each operation outlives a fault that ends, and tells of one that does not.
fn check(fault: Fault, methods: &[&'static str], expected: &str) {
    let stage = Stage::new();
    let (objects, direct) = (stage.objects(AMPLE), stage.direct());
    for (method, part) in REQUESTS.into_iter().filter(|(method, _)| methods.contains(method)) {
        stage.proxy.script(method, part, 2, fault);
    }
    for (method, result) in run(every_operation(&objects, &direct)) {
        assert_eq!(result, Ok(()), "{method} with {fault:?} twice");
    }
    stage.proxy.reset();
    for method in methods {
        stage.proxy.script(method, "", usize::MAX, fault);
    }
    for (method, result) in run(every_operation(&objects, &direct)) {
        if !methods.contains(&method) {
            assert_eq!(result, Ok(()), "{method} beside {fault:?}");
            continue;
        }
        let error = result.expect_err("the fault does not end");
        assert!(matches!(error, ObjectsError::Unavailable(_)), "{method}: {error:?}");
        assert!(error.is_temporary());
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains(&format!("s3://{BUCKET}/p at ")),
            "{method}: {text}"
        );
    }
    let requests = stage.proxy.reset();
    let tries = requests.iter().filter(|request| request.contains("read/a")).count();
    assert_eq!(tries, if methods.contains(&"GET") { TRIES } else { 1 }, "{requests:?}");
}

#[test]
fn a_store_that_fails_is_asked_again() {
    check(
        Fault::Answer(500, "InternalError", "We failed."),
        &["PUT", "GET", "DELETE"],
        "500, InternalError: We failed.",
    );
}

#[test]
fn a_store_that_is_busy_is_asked_again() {
    check(Fault::Answer(503, "SlowDown", "Reduce your rate."), &["PUT", "GET", "DELETE"], "503, SlowDown");
}

#[test]
fn writers_that_meet_come_again() {
    check(Fault::Answer(409, "ConditionalRequestConflict", ""), &["PUT"], "409, ConditionalRequestConflict");
}

#[test]
fn an_upload_that_is_cut_is_made_again_and_leaves_nothing() {
    check(Fault::CutUpload, &["PUT"], "the connection broke");
    let stage = Stage::new();
    stage.proxy.script("PUT", "", usize::MAX, Fault::CutUpload);
    let (objects, direct) = (stage.objects(AMPLE), stage.direct());
    run(async {
        direct.put("a", Bytes::from_static(b"before")).await.unwrap();
        objects.put("a", content()).await.unwrap_err();
        objects.create("b", content()).await.unwrap_err();
        let listed = direct.list("").await.unwrap();
        assert_eq!(
            listed.iter().map(|object| (object.name.as_str(), object.bytes)).collect::<Vec<_>>(),
            [("a", 6)]
        );
    });
}

#[test]
fn a_download_that_is_cut_is_made_again() {
    check(Fault::CutDownload, &["GET"], "");
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    check(Fault::LoseAnswer, &["GET", "DELETE"], "the connection broke");
}

#[test]
fn an_object_of_ours_whose_answer_was_lost_is_not_told_as_somebody_elses() {
    for fault in [Fault::LoseAnswer, Fault::AnswerBehind(500, "InternalError"), Fault::CutDownload] {
        let stage = Stage::new();
        let (objects, direct) = (stage.objects(AMPLE), stage.direct());
        run(async {
            stage.proxy.script("PUT", "ours", 1, fault);
            assert_eq!(objects.create("ours", content()).await, Ok(Created::New), "{fault:?}");
            let requests = stage.proxy.reset();
            assert_eq!(requests.len(), 2, "a try and a look: {requests:?} with {fault:?}");
            for other in [Bytes::from(vec![8; content().len()]), Bytes::from_static(b"short")] {
                direct.put("theirs", other.clone()).await.unwrap();
                stage.proxy.script("PUT", "theirs", 1, fault);
                assert_eq!(objects.create("theirs", content()).await, Ok(Created::Exists), "{fault:?}");
                assert!(direct.read("theirs", 1 << 30).await.unwrap() == other);
            }
        });
    }
}

#[test]
fn a_request_without_an_answer_leaves_room_for_another_and_ends_in_time() {
    let stage = Stage::new();
    let objects = stage.objects(SHORT * 4);
    let direct = stage.direct();
    for (method, part) in REQUESTS {
        stage.proxy.script(method, part, 1, LONG);
    }
    for (method, result) in run(every_operation(&objects, &direct)) {
        assert_eq!(result, Ok(()), "{method} after one without an answer");
    }
    let objects = stage.objects(SHORT);
    run(async {
        for method in ["PUT", "GET", "DELETE"] {
            stage.proxy.script(method, "", usize::MAX, LONG);
        }
        let watch = Stopwatch::start();
        for error in [
            objects.create("a", content()).await.unwrap_err(),
            objects.put("a", content()).await.unwrap_err(),
            objects.read("a", 1).await.unwrap_err(),
            objects.delete(&["a".to_owned()]).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, ObjectsError::Unavailable(_)), "{text}");
            assert!(text.contains("no answer within 500 ms (snapshot-request-timeout-ms)"), "{text}");
        }
        let took = Duration::from_micros(watch.micros());
        assert!(took < SHORT * 4 + SLACK, "four requests took {took:?}");
        let watch = Stopwatch::start();
        objects.list("").await.unwrap_err();
        let took = Duration::from_micros(watch.micros());
        assert!(took < SHORT * 4 + SLACK, "a list took {took:?}");
    });
}

#[test]
fn a_list_of_before_misleads_nobody_who_asks_for_an_object() {
    let stage = Stage::new();
    let (objects, direct) = (stage.objects(AMPLE), stage.direct());
    run(async {
        direct.put("old", Bytes::from_static(b"old")).await.unwrap();
        assert_eq!(objects.list("").await.unwrap().len(), 1);
        direct.delete(&["old".to_owned()]).await.unwrap();
        direct.put("new", Bytes::from_static(b"new")).await.unwrap();
        stage.proxy.script("GET", "list-type", 1, Fault::Stale);
        let listed = objects.list("").await.unwrap();
        assert_eq!(listed.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["old"]);
        assert!(matches!(objects.read("old", 10).await, Err(ObjectsError::NotFound(_))));
        assert_eq!(objects.create("new", Bytes::from_static(b"other")).await, Ok(Created::Exists));
        objects.delete(&["old".to_owned()]).await.unwrap();
        assert_eq!(objects.list("").await.unwrap()[0].name, "new");
    });
}
