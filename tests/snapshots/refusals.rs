//! What a store refuses, told with the place and the remedy, and without secrets.

use std::time::Duration;

use bytes::Bytes;
use quotad::snapshot::objects::{
    Credentials, Objects, ObjectsError, ObjectsPlace, ObjectsSettings, S3Settings,
};

use crate::http_proxy::{Fault, HttpProxy};
use crate::s3_server::{KEY_ID, S3Server, SECRET};
use crate::stores::{BUCKET, bucket, open, open_bucket, run};

/// A part of every secret in these tests.
const SECRET_PART: &str = "NOBODY-MAY-SEE";

/// What each operation answers where each is refused.
async fn errors(objects: &Objects) -> Vec<ObjectsError> {
    vec![
        objects.create("a", Bytes::from_static(b"x")).await.unwrap_err(),
        objects.put("a", Bytes::from_static(b"x")).await.unwrap_err(),
        objects.read("a", 10).await.unwrap_err(),
        objects.list("").await.unwrap_err(),
        objects.delete(&["a".to_owned()]).await.unwrap_err(),
    ]
}

fn check_denied(objects: &Objects, expected: &str) {
    for error in run(errors(objects)) {
        let text = error.to_string();
        assert!(matches!(error, ObjectsError::Denied(_)), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(objects.describe()) && !text.contains(SECRET_PART), "{text}");
    }
}

#[test]
fn keys_that_are_wrong_are_refused() {
    let server = S3Server::start(BUCKET);
    for (id, secret, expected) in [
        (KEY_ID, "OTHER-NOBODY-MAY-SEE", "SignatureDoesNotMatch"),
        ("OTHER", SECRET, "check the credentials"),
    ] {
        let credentials = Credentials::Keys { id: id.to_owned(), secret: secret.to_owned(), token: None };
        check_denied(&open_bucket(S3Settings { credentials, ..bucket(server.port(), "p") }), expected);
    }
}

#[test]
fn a_bucket_that_is_missing_is_named() {
    let server = S3Server::start("another-bucket");
    let objects = open_bucket(bucket(server.port(), "p"));
    let error = run(objects.list("")).unwrap_err();
    assert!(matches!(&error, ObjectsError::Denied(text) if text.contains("make the bucket")), "{error:?}");
    let proxy = HttpProxy::start(server.port());
    for method in ["PUT", "GET", "DELETE"] {
        proxy.script(method, "", usize::MAX, Fault::Answer(404, "NoSuchBucket", "There is none."));
    }
    check_denied(
        &open_bucket(bucket(proxy.port(), "p")),
        "404, NoSuchBucket: There is none.; make the bucket",
    );
}

#[test]
fn what_a_store_refuses_is_told_with_the_remedy() {
    let server = S3Server::start(BUCKET);
    for (status, code, expected) in [
        (403, "AccessDenied", "may read, write, list and delete"),
        (403, "RequestTimeTooSkewed", "set the clock"),
        (400, "ExpiredToken", "ExpiredToken"),
        (400, "AuthorizationHeaderMalformed", "set snapshot-region"),
        (301, "PermanentRedirect", "set snapshot-region"),
    ] {
        let proxy = HttpProxy::start(server.port());
        for method in ["PUT", "GET", "DELETE"] {
            proxy.script(
                method,
                "",
                usize::MAX,
                Fault::Answer(status, code, "No.</Message><Token-0>NOBODY-MAY-SEE</Token-0>"),
            );
        }
        check_denied(&open_bucket(bucket(proxy.port(), "p")), expected);
        assert_eq!(proxy.reset().len(), 5, "what is refused is asked once");
    }
}

#[test]
fn a_store_without_conditional_writes_is_refused_with_the_remedy() {
    let server = S3Server::start(BUCKET);
    let proxy = HttpProxy::start(server.port());
    proxy.script(
        "PUT",
        "",
        1,
        Fault::Answer(501, "NotImplemented", "A header implies what is not implemented."),
    );
    let objects = open_bucket(bucket(proxy.port(), "p"));
    let error = run(objects.create("a", Bytes::new())).unwrap_err();
    assert!(matches!(error, ObjectsError::Unsupported(_)), "{error:?}");
    assert!(error.to_string().contains("conditional writes (If-None-Match: *)"), "{error}");
}

#[test]
fn a_store_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    for error in run(errors(&open_bucket(bucket(port, "p")))) {
        let text = error.to_string();
        assert!(matches!(error, ObjectsError::Unavailable(_)), "{text}");
        assert!(text.contains("no connection: Connection refused"), "{text}");
    }
}

#[test]
fn credentials_that_cannot_be_had_are_told_as_such() {
    let server = S3Server::start(BUCKET);
    let proxy = HttpProxy::start(server.port());
    proxy.script("PUT", "/latest/api/token", usize::MAX, Fault::Answer(404, "", "NOBODY-MAY-SEE"));
    let place =
        |credentials| ObjectsPlace::S3(Box::new(S3Settings { credentials, ..bucket(server.port(), "p") }));
    let instance = Credentials::Instance { endpoint: Some(format!("http://127.0.0.1:{}", proxy.port())) };
    let objects = open(place(instance), Duration::from_secs(10));
    check_denied(
        &objects,
        "no credentials could be had: what gives them out knows of none; set AWS_ACCESS_KEY_ID",
    );
    let identity = Credentials::WebIdentity {
        token_file: "/none/token".to_owned(),
        role: "arn:role".to_owned(),
        session: None,
        endpoint: None,
    };
    let objects = open(place(identity), Duration::from_secs(10));
    let error = run(objects.list("")).unwrap_err();
    assert!(error.to_string().contains("no credentials could be had: "), "{error}");
    assert!(error.to_string().contains("/none/token"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file can be written");
    for folder in [file.clone(), file.join("below")] {
        let settings = ObjectsSettings {
            place: ObjectsPlace::Folder(folder.clone()),
            request_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
        };
        let error = Objects::open(&settings).unwrap_err();
        assert!(matches!(error, ObjectsError::Denied(_)), "{error:?}");
        assert!(
            error.to_string().contains(&format!("folder {} cannot be used", folder.display())),
            "{error}"
        );
    }
}
