//! Tests of the metrics' text and of the pages over a socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Admin, collector, serve};
use crate::dispatch::Scratch;
use crate::dispatch::testing::{Harness, Outside, ports};

fn admin() -> (Arc<Admin>, Arc<Outside>, Arc<AtomicBool>) {
    let outside = Arc::new(Outside::default());
    let clock = Harness::new(crate::dispatch::CommandTable::new(&[])).clock;
    let ports = ports(crate::command::table(), crate::engine::Engine::new(), clock, &outside);
    let ending = Arc::new(AtomicBool::new(false));
    let is_ending = Arc::clone(&ending);
    let is_ending = Box::new(move || is_ending.load(Ordering::Relaxed));
    (Arc::new(Admin { ports, resident_bytes: || 4_096, is_ending }), outside, ending)
}

/// The samples of a metrics text, by name and labels; panics where the text has no such form.
fn samples(text: &str) -> HashMap<String, f64> {
    let mut samples = HashMap::new();
    let mut types = HashMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some((name, kind)) = comment.strip_prefix("TYPE ").and_then(|rest| rest.split_once(' ')) {
                assert!(types.insert(name, kind).is_none(), "{name} is described twice");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a sample is a name and a value");
        let family = name.split('{').next().unwrap_or_default();
        assert!(family.starts_with("quotad_"), "{line}");
        assert!(types.keys().any(|known| family.starts_with(known)), "{line} has no type");
        let value = value.parse().expect("a value is a number");
        assert!(samples.insert(name.to_owned(), value).is_none(), "{line} is there twice");
    }
    assert!(text.ends_with("# EOF\n"));
    samples
}

#[test]
#[expect(clippy::float_cmp, reason = "the numbers are small and whole")]
fn metrics_tell_what_was_counted() {
    let (admin, _, _) = admin();
    let commands = admin.ports.commands.all().len();
    let scratch = Scratch::new(&admin.ports.metrics, commands, 1);
    let get = admin.ports.commands.find(b"get").expect("GET is there").number;
    let counted = &scratch.metrics.commands[usize::from(get)];
    counted.calls.add(3);
    counted.failed.add(1);
    counted.nanos.add(3_000_000);
    counted.latency.record(900, 2);
    counted.latency.record(2_000_000, 1);
    scratch.metrics.takes[0].add(5);
    scratch.metrics.denials[4].add(2);
    admin.ports.metrics.server.connections_received.add(7);

    let text = collector::encode(admin).expect("metrics can be encoded");
    let samples = samples(&text);
    for (name, expected) in [
        ("quotad_commands_total{command=\"get\"}", 3.0),
        ("quotad_command_errors_total{command=\"get\"}", 1.0),
        ("quotad_commands_rejected_total{command=\"get\"}", 0.0),
        ("quotad_command_duration_seconds_count{command=\"get\"}", 3.0),
        ("quotad_command_duration_seconds_sum{command=\"get\"}", 0.003),
        ("quotad_command_duration_seconds_bucket{le=\"1.024e-6\",command=\"get\"}", 2.0),
        ("quotad_command_duration_seconds_bucket{le=\"+Inf\",command=\"get\"}", 3.0),
        ("quotad_takes_total{kind=\"rate\"}", 5.0),
        ("quotad_denials_total{kind=\"budget\"}", 2.0),
        ("quotad_connections_received_total", 7.0),
        ("quotad_resident_memory_bytes", 4_096.0),
        ("quotad_keys{db=\"15\"}", 0.0),
        ("quotad_loading", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&expected), "{name} in {text}");
    }
    assert!(!samples.contains_key("quotad_commands_total{command=\"ping\"}"), "unused commands are left out");
}

/// One HTTP request to a server of the pages; answers status line, headers and body.
async fn ask(admin: &Arc<Admin>, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    let client = async {
        let mut stream = TcpStream::connect(address).await.expect("the pages accept");
        let request = format!("{request} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the pages read");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the pages answer and close");
        answer
    };
    tokio::select! {
        answer = client => answer,
        ended = serve(listener, Arc::clone(admin)) => panic!("the pages ended: {ended:?}"),
    }
}

#[test]
fn pages_over_a_socket() {
    let (admin, outside, ending) = admin();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let check = async |request: &str, status: &str, part: &str| {
            let answer = ask(&admin, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(part), "{answer}");
        };
        check("GET /", "200", "/readyz").await;
        check("GET /healthz", "200", "\r\n\r\nok\n").await;
        check("GET /readyz", "200", "\r\n\r\nready\n").await;
        check("GET /metrics", "200", "application/openmetrics-text").await;
        check("HEAD /metrics", "200", "application/openmetrics-text").await;
        check("GET /metrics/", "404", "no such page").await;
        check("DELETE /healthz", "405", "only GET and HEAD").await;
        outside.loading.store(true, Ordering::Relaxed);
        check("GET /readyz", "503", "loading").await;
        ending.store(true, Ordering::Relaxed);
        check("GET /readyz", "503", "ending").await;
        check("GET /healthz", "200", "ok").await;
    });
}
