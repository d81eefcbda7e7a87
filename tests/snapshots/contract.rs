//! What every store promises.

use bytes::Bytes;
use quotad::clock::Timestamp;
use quotad::snapshot::objects::{Created, MOST_OBJECT_BYTES, Objects, ObjectsError};

/// More objects than a page of S3's lists has.
const MANY: usize = 1_005;

/// Writers of many objects.
const WRITERS: usize = 8;

/// Before any object was written: the first second of 2020.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_577_836_800_000);

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn names(objects: &Objects, folder: &str) -> Vec<String> {
    let listed = objects.list(folder).await.unwrap();
    listed.into_iter().map(|object| object.name).collect()
}

/// Checks one store, which is empty before and after.
pub async fn check(objects: &Objects) {
    assert_eq!(names(objects, "").await, [""; 0]);
    objects_are_made_once(objects).await;
    objects_are_read_up_to_a_limit(objects).await;
    lists_are_of_folders(objects).await;
    names_are_plain(objects).await;
    lists_have_all_pages(objects).await;
    let all = names(objects, "").await;
    objects.delete(&all).await.unwrap();
    assert_eq!(names(objects, "").await, [""; 0]);
}

async fn objects_are_made_once(objects: &Objects) {
    let missing = objects.read("a/new", 100).await.unwrap_err();
    assert!(matches!(missing, ObjectsError::NotFound(_)), "{missing:?}");
    let expected = format!("a/new in {} cannot be read: there is none", objects.describe());
    assert_eq!(missing.to_string(), expected);
    assert_eq!(objects.create("a/new", text("one")).await, Ok(Created::New));
    assert_eq!(objects.create("a/new", text("two")).await, Ok(Created::Exists));
    assert_eq!(objects.create("a/new", text("one")).await, Ok(Created::Exists), "nobody's answer was lost");
    assert_eq!(objects.read("a/new", 3).await.unwrap(), "one");
    objects.put("a/new", text("three")).await.unwrap();
    objects.put("a/other", text("")).await.unwrap();
    assert_eq!(objects.read("a/new", 100).await.unwrap(), "three");
    assert_eq!(objects.read("a/other", 0).await.unwrap(), "");
    objects.delete(&["a/new".to_owned(), "a/none".to_owned(), "a/new".to_owned()]).await.unwrap();
    assert!(matches!(objects.read("a/new", 100).await, Err(ObjectsError::NotFound(_))));
    assert_eq!(objects.create("a/new", text("again")).await, Ok(Created::New));
    objects.delete(&["a/new".to_owned(), "a/other".to_owned()]).await.unwrap();
    objects.delete(&[]).await.unwrap();
}

async fn objects_are_read_up_to_a_limit(objects: &Objects) {
    let large: Bytes = (0..16_u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect::<Vec<_>>().into();
    assert_eq!(objects.create("large", large.clone()).await, Ok(Created::New));
    let most = large.len() as u64;
    assert!(objects.read("large", most).await.unwrap() == large);
    let error = objects.read("large", most - 1).await.unwrap_err();
    assert!(matches!(error, ObjectsError::TooLarge(_)), "{error:?}");
    assert!(error.to_string().contains("it has 16777216 bytes, at most 16777215 are expected"), "{error}");
    let too_large = Bytes::from(vec![0; MOST_OBJECT_BYTES + 1]);
    let error = objects.create("larger", too_large.clone()).await.unwrap_err();
    assert!(matches!(error, ObjectsError::TooLarge(_)), "{error:?}");
    assert!(matches!(objects.put("larger", too_large).await, Err(ObjectsError::TooLarge(_))));
    objects.delete(&["large".to_owned()]).await.unwrap();
}

async fn lists_are_of_folders(objects: &Objects) {
    let all = ["b.a", "b/1/x", "b/10", "b/2/y", "ba/1", "c"];
    for name in all {
        objects.put(name, text(name)).await.unwrap();
    }
    let mut sorted = all;
    sorted.sort_unstable();
    assert_eq!(names(objects, "").await, sorted);
    assert_eq!(names(objects, "b").await, ["b/1/x", "b/10", "b/2/y"]);
    assert_eq!(names(objects, "b/1").await, ["b/1/x"]);
    assert_eq!(names(objects, "b/1/x").await, [""; 0]);
    assert_eq!(names(objects, "none").await, [""; 0]);
    for object in objects.list("").await.unwrap() {
        assert_eq!(object.bytes, object.name.len() as u64);
        assert!(object.modified > LONG_AGO, "{object:?}");
    }
    objects.delete(&all.map(str::to_owned)).await.unwrap();
}

async fn names_are_plain(objects: &Objects) {
    for name in ["", "/a", "a/", "a//b", "../a", "a b", "a#1"] {
        for error in [
            objects.read(name, 1).await.unwrap_err(),
            objects.put(name, text("")).await.unwrap_err(),
            objects.create(name, text("")).await.unwrap_err(),
            objects.delete(&[name.to_owned()]).await.unwrap_err(),
        ] {
            assert!(matches!(error, ObjectsError::Damaged(_)), "{name}: {error:?}");
        }
    }
    assert!(matches!(objects.list("a/../b").await, Err(ObjectsError::Damaged(_))));
}

async fn lists_have_all_pages(objects: &Objects) {
    let expected: Vec<_> = (0..MANY).map(|number| format!("many/{number:04}")).collect();
    let writers = expected.chunks(MANY.div_ceil(WRITERS)).map(|names| {
        let (objects, names) = (objects.clone(), names.to_vec());
        tokio::spawn(async move {
            for name in names {
                assert_eq!(objects.create(&name, text("x")).await, Ok(Created::New));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(names(objects, "many").await, expected);
    objects.delete(&expected).await.unwrap();
}

/// Of several that write different content by one name at once, one is told that it did.
pub async fn check_writers_at_once(objects: &Objects) {
    for round in 0..50 {
        let name = format!("race/{round}");
        let writers = (0..WRITERS).map(|writer| {
            let (objects, name) = (objects.clone(), name.clone());
            tokio::spawn(async move {
                let content = format!("of writer {writer}");
                let created = objects.create(&name, text(&content)).await.unwrap();
                (created == Created::New).then_some(content)
            })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            winners.extend(writer.await.unwrap());
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(objects.read(&name, 100).await.unwrap(), winners[0].as_bytes());
    }
    let all = names(objects, "race").await;
    objects.delete(&all).await.unwrap();
}

/// Two that opened the same place see each other's objects.
pub async fn check_two_see_the_same(one: &Objects, other: &Objects) {
    assert_eq!(one.create("shared", text("one")).await, Ok(Created::New));
    assert_eq!(other.create("shared", text("other")).await, Ok(Created::Exists));
    assert_eq!(other.read("shared", 3).await.unwrap(), "one");
    other.delete(&["shared".to_owned()]).await.unwrap();
    assert_eq!(names(one, "").await, [""; 0]);
}

/// Two with different prefixes do not see each other's objects.
pub async fn check_two_do_not_meet(one: &Objects, other: &Objects) {
    assert_eq!(one.create("mine", text("one")).await, Ok(Created::New));
    assert_eq!(other.create("mine", text("other")).await, Ok(Created::New));
    assert_eq!(one.read("mine", 3).await.unwrap(), "one");
    assert_eq!(names(other, "").await, ["mine"]);
}
