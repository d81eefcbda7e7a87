//! How long one request takes to parse and one reply to encode.
//!
//! `redis-protocol` decodes the same command in the same run, so that the figures compare on any machine.
#![allow(missing_docs, reason = "criterion's macros make an item without documentation")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quotad::resp::{Protocol, ReplyWriter, RequestLimits, RequestParser, write_request};

const LIMITS: RequestLimits = RequestLimits::AUTHENTICATED_DEFAULT;

/// How many requests a client of the benchmarked pipeline sends at once.
const PIPELINE_DEPTH: u64 = 128;

fn request(words: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_request(&mut bytes, &words.split(' ').collect::<Vec<_>>());
    bytes
}

/// Parses every request in `bytes`; the amount of their last arguments' bytes keeps the work from being left out.
fn parse_all(parser: &mut RequestParser, bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut argument_bytes = 0;
    while let Some(length) = parser.parse(rest, &LIMITS).expect("the bytes are requests") {
        let request = parser.request(rest);
        argument_bytes += request.arg(request.len() - 1).len();
        rest = &rest[length..];
    }
    argument_bytes
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let increment = "INCRBY key:000000012345 5";
    let commands = [
        ("ping", "PING"),
        ("get", "GET key:000000012345"),
        ("incrby", increment),
        ("take", "QUOTA.TAKE org/acme/agent/7 1 RATE 100 PER 60s BURST 20"),
    ];
    for (name, words) in commands {
        let bytes = request(words);
        let mut parser = RequestParser::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let bytes = black_box(bytes.as_slice());
                let length = parser.parse(bytes, &LIMITS);
                black_box(parser.request(bytes));
                length
            });
        });
    }

    let bytes = request(increment);
    group.bench_function("incrby_with_redis_protocol_resp2_ranges", |bencher| {
        bencher.iter(|| redis_protocol::resp2::decode::decode_range(black_box(&bytes)));
    });
    let shared = bytes::Bytes::from(bytes.clone());
    group.bench_function("incrby_with_redis_protocol_resp3_bytes", |bencher| {
        bencher.iter(|| redis_protocol::resp3::decode::complete::decode_bytes(black_box(&shared)));
    });

    let pipeline: Vec<u8> = (0..PIPELINE_DEPTH)
        .flat_map(|number| request(&format!("INCRBY key:{number:012} {}", number % 10)))
        .collect();
    let mut parser = RequestParser::new();
    group.throughput(Throughput::Elements(PIPELINE_DEPTH));
    group.bench_function("pipeline_of_128_incrby", |bencher| {
        bencher.iter(|| parse_all(&mut parser, black_box(&pipeline)));
    });
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let mut bench = |name: &str, write: fn(&mut ReplyWriter<'_>)| {
        let mut buffer = Vec::with_capacity(4096);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                buffer.clear();
                write(&mut ReplyWriter::new(black_box(&mut buffer), Protocol::Resp3));
            });
        });
    };
    bench("integer_of_one_digit", |writer| writer.integer(black_box(7)));
    bench("integer_of_ten_digits", |writer| writer.integer(black_box(1_234_567_890)));
    bench("bulk_of_16_bytes", |writer| writer.bulk(black_box(b"0123456789abcdef")));
    bench("double", |writer| writer.double(black_box(1234.5678)));
    bench("verdict", |writer| {
        writer.array(8);
        for number in black_box([1, 1, 99, 0, 60_000]) {
            writer.integer(number);
        }
        writer.text(black_box("per-minute"));
        writer.integer(black_box(0));
        writer.integer(black_box(123_456));
    });
    group.finish();
}

criterion_group!(benches, parse, encode);
criterion_main!(benches);
