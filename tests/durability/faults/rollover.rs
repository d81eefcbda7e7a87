//! Budgets roll over into the next hour while the server works, and it is killed around that: what people bill from is still right.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::start::fake_time;
use crate::client::{Connection, integer, write_words};
use crate::cluster::Cluster;
use crate::random::Random;
use crate::report::Row;
use crate::server::Setup;
use crate::support::Reply;
use crate::surroundings::{kill_rounds, pass, seed};
use crate::truth::Stored;

/// Subjects that take: enough that some are not asked for again, and are closed by the sweep.
const SUBJECTS: u64 = 200;

/// Takes in one pipeline.
const TAKES: usize = 16;

/// How long before the hour's end a server starts.
const SECONDS_BEFORE: u64 = 2;

/// The longest that it runs behind the hour's end.
const MOST_MS_BEHIND: u64 = 600;

/// A take: its subject, amount, and batch, where it was answered.
type Take = (String, u64, Option<u64>);

/// With both truths.
pub fn killed_around() -> Row {
    let cluster = Cluster::start();
    let sqlite = tempfile::tempdir().expect("a directory can be made");
    let postgres = tempfile::tempdir().expect("a directory can be made");
    let mut row = rounds(Setup::sqlite(sqlite.path()));
    row.add(&rounds(Setup::postgres(&cluster.url(), postgres.path())));
    row
}

fn rounds(mut setup: Setup) -> Row {
    let mut row = Row { rounds: kill_rounds().div_ceil(4), ..Row::default() };
    let mut random = Random::new(seed());
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for hour in 0..=row.rounds {
        setup.environment = fake_time(&format!("@2026-01-01 {hour:02}:59:{:02}", 60 - SECONDS_BEFORE));
        let server = setup.start();
        let stored = setup.truth().read_batches();
        if hour > 0 {
            compare(&setup, &stored, &mut expected);
        }
        if hour == row.rounds {
            break;
        }
        let (address, seed) = (server.address(), random.number());
        let takes = std::thread::spawn(move || take_until_gone(address, seed));
        pass(Duration::from_millis(SECONDS_BEFORE * 1_000 + random.below(MOST_MS_BEHIND)));
        server.kill();
        let takes = takes.join().expect("the client's thread ends");
        // Until the next start, batches may wait in the outbox.
        let server = setup.start();
        let stored = setup.truth().read_batches();
        server.kill();
        for (subject, amount, token) in takes {
            let (least, most) = expected.entry(subject).or_default();
            let is_there = token.is_some_and(|token| stored.has(token));
            row.acknowledged += u64::from(token.is_some());
            row.lost += u64::from(token.is_some() && !is_there);
            *least += if is_there { amount } else { 0 };
            *most += if is_there || token.is_none() { amount } else { 0 };
        }
    }
    row
}

fn compare(setup: &Setup, stored: &Stored, expected: &mut BTreeMap<String, (u64, u64)>) {
    let months = setup.truth().usage_of_month("2026-01");
    for (subject, (least, most)) in expected {
        let used = months.get(subject).copied().unwrap_or_default();
        assert!(
            (*least..=*most).contains(&used),
            "{subject} used {used} this month by SQL; acknowledged up to batch {} of epoch {} are {least}, sent {most}",
            stored.applied,
            stored.epoch
        );
        (*least, *most) = (used, used);
    }
}

fn take_until_gone(address: SocketAddr, seed: u64) -> Vec<Take> {
    let mut random = Random::new(seed);
    let mut takes = Vec::new();
    let mut connection = Connection::open(address).expect("the server accepts");
    loop {
        let first = takes.len();
        let mut requests = Vec::new();
        for _ in 0..TAKES {
            let (subject, amount) = (format!("hourly/{}", random.below(SUBJECTS)), 1 + random.below(9));
            write_words(&format!("QUOTA.TAKE {subject} {amount} BUDGET 1000000 PER HOUR"), &mut requests);
            takes.push((subject, amount, None));
        }
        if connection.send(&requests).is_err() {
            return takes;
        }
        for take in &mut takes[first..] {
            let Ok(reply) = connection.reply() else { return takes };
            let Reply::Many(_, items) = &reply else { panic!("a take is granted: {reply:?}") };
            assert_eq!(integer(&items[0]), Some(1), "a take is granted: {reply:?}");
            take.2 = integer(&items[7]);
        }
        pass(Duration::from_millis(2));
    }
}
