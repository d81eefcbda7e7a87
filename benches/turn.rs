//! How long a whole turn takes without a socket: parse, look up, run and encode every request of a pipeline.
//!
//! The time is a turn's; the throughput beside it is requests. What a server spends above this per request is the
//! kernel's and the event loop's.
#![allow(missing_docs, reason = "criterion's macros make an item without documentation")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quotad::clock::{Clock, SystemClock};
use quotad::dispatch::execute::Execution;
use quotad::dispatch::testing::{Outside, ports};
use quotad::dispatch::{ClientRecord, Executor, Outcome, Scratch, Session};
use quotad::engine::Engine;
use quotad::resp::{RequestLimits, RequestParser, write_request};

/// Keys the requests are spread over, as in the comparison with other servers.
const KEYS: u64 = 100_000;

/// Steps through the keys out of their order; it shares no divisor with their number, so that every key has its turn.
const STRIDE: u64 = 61_803;

/// Commands with the key left open. The quotas are such that all is allowed.
const COMMANDS: [(&str, &str); 4] = [
    ("incr", "INCR KEY"),
    ("throttle", "CL.THROTTLE KEY 1000000 1000000 60 1"),
    ("take", "QUOTA.TAKE KEY 1 RATE 1000000 PER 60s BURST 1000000"),
    (
        "take_four",
        "QUOTA.TAKE KEY 1 RATE 1000000 PER 60s BURST 1000000 WINDOW 1000000 PER 60s FIXED \
         WINDOW 1000000 PER 1h SLIDING BUDGET 1000000000 PER MONTH",
    ),
];

/// One connection's share of a server.
struct Server {
    executor: Executor,
    session: Session,
    parser: RequestParser,
    output: Vec<u8>,
}

impl Server {
    fn new() -> Self {
        let clock = Arc::new(SystemClock::new());
        let now = clock.now();
        let ports = ports(quotad::command::table(), Engine::new(), clock, &Arc::new(Outside::default()));
        let record = Arc::new(ClientRecord::new(1, "127.0.0.1:50000", "127.0.0.1:6379", now));
        let scratch = Scratch::new(&ports.metrics, ports.commands.all().len(), 1);
        Self {
            executor: Executor::new(ports, scratch),
            session: Session::new(record, true),
            parser: RequestParser::new(),
            output: Vec::new(),
        }
    }

    fn turn(&mut self, input: &[u8]) -> &[u8] {
        self.output.clear();
        self.executor.begin_turn();
        let mut rest = input;
        while let Some(length) =
            self.parser.parse(rest, &RequestLimits::AUTHENTICATED_DEFAULT).expect("the input is protocol")
        {
            let request = self.parser.request(rest);
            let execution = self.executor.execute(&mut self.session, request, &mut self.output);
            assert!(matches!(execution, Execution::Done(Outcome::Reply)), "every command answers at once");
            rest = &rest[length..];
        }
        self.executor.end_turn(&self.session);
        &self.output
    }
}

/// Pipelines of `depth` requests that touch every key once.
fn pipelines(command: &str, depth: u64) -> Vec<Vec<u8>> {
    let pipeline = |number: u64| {
        let mut bytes = Vec::new();
        for position in number * depth..(number + 1) * depth {
            let key = format!("key:{:012}", position * STRIDE % KEYS);
            let words: Vec<&str> =
                command.split(' ').map(|word| if word == "KEY" { key.as_str() } else { word }).collect();
            write_request(&mut bytes, &words);
        }
        bytes
    };
    (0..KEYS / depth).map(pipeline).collect()
}

fn turn(criterion: &mut Criterion) {
    for (name, command) in COMMANDS {
        let mut group = criterion.benchmark_group(name);
        let mut server = Server::new();
        for depth in [1, 16, 128] {
            let pipelines = pipelines(command, depth);
            for pipeline in &pipelines {
                let output = server.turn(pipeline);
                assert_ne!(output[0], b'-', "{name} is answered by {}", String::from_utf8_lossy(output));
            }
            group.throughput(Throughput::Elements(depth));
            let mut next = pipelines.iter().cycle();
            group.bench_function(depth.to_string(), |bencher| {
                bencher.iter(|| {
                    let pipeline = next.next().expect("a cycle does not end");
                    black_box(server.turn(pipeline).len())
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, turn);
criterion_main!(benches);
