//! A store that ignores conditional writes is found out before anything is written to it; others are not.

use quotad::clock::Timestamp;
use quotad::persist::Id;
use quotad::snapshot::format::SealingKeys;
use quotad::snapshot::objects::{Objects, ObjectsError, ObjectsPlace};
use quotad::snapshot::{Catalog, Claimant, SnapshotError};

use crate::http_proxy::{Fault, HttpProxy};
use crate::s3_server::S3Server;
use crate::stores::{BUCKET, bucket, open, open_bucket, run};

fn catalog(objects: Objects) -> Catalog {
    Catalog { objects, keys: SealingKeys::default(), accepts_unsealed: false }
}

fn claimant() -> Claimant {
    Claimant {
        data_set: Id([1; 16]),
        start: Id([2; 16]),
        holder: "a test".to_owned(),
        now: Timestamp::from_millis(1_794_744_000_000),
        owner: Id([3; 16]),
        epochs: Vec::new(),
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let server = S3Server::start_unconditional(BUCKET);
    let catalog = catalog(open_bucket(bucket(server.port(), "p")));
    let first = run(catalog.take_epoch(&claimant())).unwrap_err();
    let second = run(catalog.claim(&claimant(), 7)).unwrap_err();
    for error in [first, second] {
        assert!(matches!(error, SnapshotError::Objects(ObjectsError::Unsupported(_))), "{error:?}");
        assert!(!error.is_temporary(), "the server ends, it does not wait");
        let text = error.to_string();
        assert!(text.starts_with(&format!("s3://{BUCKET}/p at ")), "{text}");
        assert!(text.contains("ignores conditional writes (If-None-Match: *)"), "{text}");
    }
    assert!(run(catalog.objects.list("")).unwrap().is_empty(), "nothing of it stays");
}

#[test]
fn a_store_that_knows_them_is_not() {
    let server = S3Server::start(BUCKET);
    let proxy = HttpProxy::start(server.port());
    let dir = tempfile::tempdir().unwrap();
    let folder = open(ObjectsPlace::Folder(dir.path().to_owned()), std::time::Duration::from_secs(30));
    for objects in [folder, open_bucket(bucket(proxy.port(), "p"))] {
        let catalog = catalog(objects);
        assert_eq!(run(catalog.take_epoch(&claimant())), Ok(1));
        // Of either of the two writes the answer is lost.
        for (epoch, passes) in [(2, 0), (3, 1)] {
            proxy.reset();
            for _ in 0..passes {
                proxy.script("PUT", "writers", 1, Fault::Delay(std::time::Duration::from_millis(1)));
            }
            proxy.script("PUT", "writers", 1, Fault::LoseAnswer);
            assert_eq!(run(catalog.claim(&claimant(), epoch)), Ok(()), "epoch {epoch}");
        }
        assert_eq!(run(catalog.claim(&claimant(), 3)), Ok(()), "once more");
        let mark = run(catalog.objects.read("writers/00000000000000000003.json", 4_096)).unwrap();
        let mark = String::from_utf8(mark.to_vec()).unwrap();
        assert!(mark.contains("\"start\": \"02020202-"), "the mark is the start's: {mark}");
    }
}
