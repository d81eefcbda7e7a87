//! Tests of what INFO tells.

use std::sync::Arc;

use crate::app::assembly::Assembly;
use crate::clock::ManualClock;
use crate::config::Config;
use crate::dispatch::ports::Lifecycle;
use crate::dispatch::testing::HARNESS_START;
use crate::dispatch::{ClientRecord, Executor, Scratch, Session};
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::resp::{RequestLimits, RequestParser};

fn assembled() -> (Assembly, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(HARNESS_START));
    (Assembly::new(Config::default(), clock.clone()), clock)
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
    assert_eq!(value(&assembly, "keyspace", "db0").as_deref(), Some("keys=2"));
    assert_eq!(value(&assembly, "keyspace", "db7").as_deref(), Some("keys=1"));
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
