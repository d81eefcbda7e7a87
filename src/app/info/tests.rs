//! Tests of what INFO tells.

use std::sync::Arc;

use crate::app::assembly::Assembly;
use crate::clock::ManualClock;
use crate::config::{Config, SnapshotsSetting, TruthSetting};
use crate::dispatch::ports::Lifecycle;
use crate::dispatch::testing::HARNESS_START;
use crate::dispatch::{ClientRecord, Executor, Scratch, Session};
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::resp::{RequestLimits, RequestParser};

fn assembled() -> (Assembly, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(HARNESS_START));
    let config = Config { truth: TruthSetting::None, snapshots: SnapshotsSetting::None, ..Config::default() };
    (Assembly::new(config, clock.clone()).unwrap(), clock)
}

fn value(assembly: &Assembly, section: &str, name: &str) -> Option<String> {
    let sections = assembly.process.info();
    let (_, lines) = sections.into_iter().find(|(title, _)| *title == section)?;
    lines.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[test]
fn what_clients_look_for_is_there() {
    let (assembly, _) = assembled();
    for (section, name, expected) in [
        ("server", "redis_version", "7.0.15"),
        ("server", "quotad_version", env!("CARGO_PKG_VERSION")),
        ("server", "redis_mode", "standalone"),
        ("replication", "role", "master"),
        ("replication", "connected_slaves", "0"),
        ("persistence", "loading", "0"),
        ("clients", "connected_clients", "0"),
        ("clients", "maxclients", "10000"),
        ("memory", "maxmemory", "0"),
        ("memory", "maxmemory_policy", "noeviction"),
        ("stats", "total_commands_processed", "0"),
        ("cluster", "cluster_enabled", "0"),
    ] {
        assert_eq!(value(&assembly, section, name).as_deref(), Some(expected), "{section} {name}");
    }
    assert_eq!(value(&assembly, "server", "run_id").map(|id| id.len()), Some(40));
    assert_eq!(value(&assembly, "server", "process_id"), Some(std::process::id().to_string()));
}

#[test]
fn no_line_breaks_the_form() {
    let (assembly, _) = assembled();
    for (title, lines) in assembly.process.info() {
        assert_eq!(title, title.to_ascii_lowercase());
        for (position, (name, value)) in lines.iter().enumerate() {
            assert!(!name.contains([':', '\r', '\n']) && !value.contains(['\r', '\n']), "{name}:{value}");
            assert!(!lines[..position].iter().any(|(other, _)| other == name), "{name} is there twice");
        }
    }
}

#[test]
fn time_keys_and_calls_are_told() {
    let (assembly, clock) = assembled();
    clock.advance_micros(90_061 * 1_000_000);
    assert_eq!(value(&assembly, "server", "uptime_in_seconds").as_deref(), Some("90061"));
    assert_eq!(value(&assembly, "server", "uptime_in_days").as_deref(), Some("1"));

    let put = |database, key: &[u8]| {
        let slot = |slot: &mut crate::engine::Slot<'_>| slot.put(Content::Integer(1), Expiry::NEVER);
        assembly.ports.engine.edit(database, key, HARNESS_START, slot).expect("all keys are known");
    };
    put(0, b"a");
    put(0, b"b");
    put(7, b"a");
    assert_eq!(value(&assembly, "keyspace", "db0").as_deref(), Some("keys=2,expires=0,avg_ttl=0"));
    assert_eq!(value(&assembly, "keyspace", "db7").as_deref(), Some("keys=1,expires=0,avg_ttl=0"));
    assert_eq!(value(&assembly, "keyspace", "db1"), None);
    assert_ne!(value(&assembly, "memory", "used_memory").as_deref(), Some("0"));

    run(&assembly, b"PING\r\nPING too many\r\nNOSUCH\r\n");
    let calls = value(&assembly, "commandstats", "cmdstat_ping").expect("PING was called");
    assert!(
        calls.starts_with("calls=2,usec=") && calls.ends_with("rejected_calls=0,failed_calls=1"),
        "{calls}"
    );
    let latency = value(&assembly, "latencystats", "latency_percentiles_usec_ping");
    assert!(latency.is_some_and(|latency| latency.starts_with("p50=")));
    assert_eq!(value(&assembly, "stats", "total_commands_processed").as_deref(), Some("2"));
    assert_eq!(value(&assembly, "stats", "total_error_replies").as_deref(), Some("2"));
}

#[test]
fn errors_are_told_by_their_first_word() {
    let (assembly, _) = assembled();
    assert_eq!(value(&assembly, "errorstats", "errorstat_ERR"), None);
    run(&assembly, b"NOSUCH\r\nGET\r\nSET a x\r\nINCR a\r\nCL.THROTTLE t 1 1 60\r\nGET t\r\n");
    let count = |code: &str| value(&assembly, "errorstats", &format!("errorstat_{code}"));
    assert_eq!(count("ERR").as_deref(), Some("count=3"), "unknown, refused and failed ones count");
    assert_eq!(count("WRONGTYPE").as_deref(), Some("count=1"));
    run(&assembly, b"GET t\r\n");
    assert_eq!(count("WRONGTYPE").as_deref(), Some("count=2"), "of all workers");
    run(&assembly, b"CONFIG RESETSTAT\r\n");
    assert_eq!(count("WRONGTYPE"), None);
}

#[test]
fn expiries_are_counted_exactly_and_the_sweep_tells_their_average() {
    let (assembly, clock) = assembled();
    let keyspace = || value(&assembly, "keyspace", "db0").unwrap_or_default();
    run(
        &assembly,
        b"SET a x PX 100000\r\nSET b 1 PX 300000\r\nSET c x\r\nINCR d\r\nQUOTA.TAKE q 1 RATE 1 PER 1h\r\n",
    );
    assert_eq!(keyspace(), "keys=5,expires=2,avg_ttl=0");
    let mut sweeper = crate::app::sweep::Sweeper::default();
    sweeper.round(&assembly.process.engine, assembly.process.seat(), &*clock, &assembly.process.metrics);
    assert_eq!(keyspace(), "keys=5,expires=2,avg_ttl=200000");
    run(
        &assembly,
        b"PEXPIRE c 5000\r\nPEXPIRE d 5000\r\nPERSIST a\r\nAPPEND b x\r\nRENAME c e\r\nCOPY d f\r\n",
    );
    assert!(keyspace().starts_with("keys=6,expires=4,"), "{}", keyspace());
    clock.advance_micros(5_000_000);
    run(&assembly, b"INCR d\r\nEXISTS e\r\nSET f x\r\n");
    assert!(keyspace().starts_with("keys=6,expires=2,"), "d and f stay, e is not swept yet: {}", keyspace());
    run(&assembly, b"DEL b e\r\nFLUSHDB\r\nSET g 1\r\n");
    assert_eq!(keyspace(), "keys=1,expires=0,avg_ttl=0");
}

/// Runs inline requests on the assembly's ports.
fn run(assembly: &Assembly, mut input: &[u8]) {
    let ports = &assembly.ports;
    let scratch = Scratch::new(&ports.metrics, ports.commands.all().len(), 1);
    let mut executor = Executor::new(Arc::clone(ports), scratch);
    let record = Arc::new(ClientRecord::new(1, "a", "b", HARNESS_START));
    let (mut session, mut parser, mut output) =
        (Session::new(record, true), RequestParser::new(), Vec::new());
    executor.begin_turn();
    while !input.is_empty() {
        let length = parser.parse(input, &RequestLimits::default()).expect("protocol").expect("whole");
        executor.execute(&mut session, parser.request(input), &mut output);
        input = &input[length..];
    }
    executor.end_turn(&session);
}
