//! What `quotad snapshot` says of what it finds, and what it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::client::Client;
use crate::site::{Site, files, kill, stop};
use crate::state::{check, fill};

/// A folder's snapshots as a flag.
fn snapshots_in(data_dir: &Path) -> String {
    format!("file://{}/snapshots", data_dir.display())
}

#[test]
fn a_list_tells_of_parts_that_are_missing_or_cut_and_of_keys_that_are_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "a".repeat(64)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let data = folder.path().join("data");
    let site = Site::new(&data, &[]);
    let sealed = site.with(&["--snapshot-key-file", key.to_str().unwrap()]);
    let server = sealed.start();
    fill(&mut Client::of(&server));
    stop(server);
    let state = |site: &Site| {
        let (code, table) = site.snapshot(&["list"]);
        assert_eq!(code, Some(0), "{table}");
        let (code, json) = site.snapshot(&["list", "--json"]);
        assert_eq!(code, Some(0), "{json}");
        let row = table.lines().nth(1).expect("there is one").to_owned();
        let state = row.split_once(" yes ").expect("it is encrypted").1.trim().to_owned();
        assert!(json.contains(&format!("\"state\": \"{state}\"")), "{state}: {json}");
        state
    };
    assert_eq!(state(&sealed), "good");
    assert_eq!(state(&site), "encrypted, no key");
    let part = files(&data.join("snapshots"), ".part").pop().expect("there is one");
    let whole = fs::read(&part).unwrap();
    fs::write(&part, &whole[1..]).unwrap();
    assert!(state(&sealed).ends_with(" of another length"));
    fs::remove_file(&part).unwrap();
    let told = state(&sealed);
    assert!(told.starts_with("damaged: 1 of ") && told.ends_with(" parts missing"), "{told}");
    assert_eq!(state(&site), told);
}

#[test]
fn what_is_not_there_is_said_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let site = Site::new(&nowhere, &[]);
    for words in [&["list"][..], &["verify"], &["restore"], &["prune"]] {
        let (code, told) = site.snapshot(words);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("nowhere/snapshots is not there"), "{told}");
    }
    assert!(!nowhere.exists());

    let data = folder.path().join("data");
    let site = Site::new(&data, &[]);
    let server = site.start();
    fill(&mut Client::of(&server));
    stop(server);
    let unknown = "20200101T000000Z-1-1";
    for words in [["verify", unknown], ["inspect", unknown], ["restore", unknown]] {
        let (code, told) = site.snapshot(&words);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.starts_with(&format!("quotad: there is no snapshot {unknown} in ")), "{told}");
    }
    let (code, told) = site.snapshot(&["inspect", "nope"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.starts_with("quotad: \"nope\" is no snapshot's id"), "{told}");
    let (_, told) = site.snapshot(&["inspect", &site.ids()[0]]);
    assert!(told.contains("truth       sqlite\n") && told.contains("state       good\n"), "{told}");
}

#[test]
fn a_lost_host_is_restored_into_what_the_settings_say_and_another_data_set_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let [lost, new, other] = ["lost", "new", "other"].map(|name| folder.path().join(name));
    let server = Site::new(&lost, &[]).start();
    fill(&mut Client::of(&server));
    stop(server);
    let snapshots = snapshots_in(&lost);
    let flags = ["--snapshots", snapshots.as_str()];

    // Its own snapshots lie elsewhere too: of two data sets in one place none is started.
    let elsewhere = snapshots_in(&other);
    let server = Site::new(&other, &["--snapshots", &elsewhere]).start();
    Client::of(&server).check("SET mine 1", "OK");
    stop(server);
    let before = fs::read(other.join("truth.sqlite")).unwrap();
    for more in [&[][..], &["--into", "sqlite"], &["--replace"]] {
        let (code, told) = Site::new(&other, &flags).snapshot(&[&["restore"], more].concat());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("belongs to the data set") && told.contains("nothing was restored"), "{told}");
    }
    assert!(fs::read(other.join("truth.sqlite")).unwrap() == before);
    let server = Site::new(&other, &["--snapshots", &elsewhere]).start();
    Client::of(&server).check("GET mine", "\"1\"");
    kill(server);

    let site = Site::new(&new, &flags);
    for (words, expected) in [
        (
            &["--into", "none"][..],
            "allowed are sqlite, sqlite:PATH or postgres://user:password@host:port/database\n",
        ),
        (&["--into", "postgres://q:SECRET@h/db?shcema=a"], "has no parameter shcema"),
        (&["--truth", "none"], "there is no truth to be filled (--truth none): name one with --into"),
    ] {
        let (code, told) = site.snapshot(&[&["restore"], words].concat());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(expected) && !told.contains("SECRET"), "{told}");
        assert!(!new.exists(), "{told}");
    }
    let (code, told) = site.snapshot(&["restore"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("new/truth.sqlite, which is the data set "), "{told}");
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    let server = site.start();
    check(&mut Client::of(&server), "97");
    kill(server);
}
