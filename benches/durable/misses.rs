//! How long a client waits for a key that only Postgres has, and how long a bare SELECT takes, in turn.
//!
//! `misses POSTGRES SERVER COUNT` reads the keys that the truth holds and asks the server, which keeps none of them in memory, for COUNT
//! of them one by one, as many by SELECT, and then for pipelines of 100.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

/// Keys asked for one after the other before the other way has its turn.
const BLOCK: usize = 50;

/// Requests of a pipeline.
const PIPELINE: usize = 100;

/// The parameter that names the schema, which sqlx does not know.
const SCHEMA: &str = "&schema=";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: misses POSTGRES SERVER COUNT");
    let (url, server, count) = (argument()?, argument()?, argument()?.parse::<usize>()?);
    let (url, schema) = url.split_once(SCHEMA).ok_or("the address names no schema")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options: PgConnectOptions = url.parse()?;
    let options = options.statement_cache_capacity(0).options([("search_path", schema)]);
    let pool = PgPoolOptions::new().max_connections(8).test_before_acquire(false);
    let pool = runtime.block_on(pool.connect_with(options))?;
    let keys = "SELECT key FROM entries WHERE NOT deleted ORDER BY md5(key)";
    let keys: Vec<Vec<u8>> = runtime.block_on(sqlx::query_scalar(keys).fetch_all(&pool))?;
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let (one_by_one, rest) = keys.split_at(count.min(keys.len() / 2));
    let before = queries(&mut stream)?;
    let (mut selects, mut misses) = (Vec::new(), Vec::new());
    for block in one_by_one.chunks(BLOCK) {
        for key in block {
            let begin = Instant::now();
            runtime.block_on(select(&pool, key))?;
            selects.push(begin.elapsed().as_nanos());
        }
        for key in block {
            let begin = Instant::now();
            ask(&mut stream, &[key])?;
            misses.push(begin.elapsed().as_nanos());
        }
    }
    let (select, miss) = (median(&mut selects), median(&mut misses));
    println!("SELECT {} us, GET {} us, ratio {}", select / 1_000, miss / 1_000, hundredths(miss, select));
    let asked = queries(&mut stream)? - before;
    if asked != u64::try_from(misses.len())? {
        return Err(format!("{} keys were asked for, and {asked} fetched", misses.len()).into());
    }
    let before = queries(&mut stream)?;
    let mut pipelines = Vec::new();
    for block in rest.chunks_exact(PIPELINE).take(20) {
        let keys: Vec<&[u8]> = block.iter().map(Vec::as_slice).collect();
        let begin = Instant::now();
        ask(&mut stream, &keys)?;
        pipelines.push(begin.elapsed().as_nanos());
    }
    let asked = pipelines.len().max(1);
    let queries = queries(&mut stream)? - before;
    println!(
        "a pipeline of {PIPELINE} misses takes {} queries and {} us",
        hundredths(queries.into(), u128::try_from(asked)?),
        median(&mut pipelines) / 1_000
    );
    Ok(())
}

async fn select(pool: &PgPool, key: &[u8]) -> Result<(), sqlx::Error> {
    let query = sqlx::query("SELECT state, expires_at_ms FROM entries WHERE database = 0 AND key = $1");
    query.bind(key).persistent(false).fetch_one(pool).await.map(drop)
}

/// Sends a GET for each key at once and reads their answers: strings that are there.
fn ask(stream: &mut TcpStream, keys: &[impl AsRef<[u8]>]) -> Result<(), Box<dyn Error>> {
    let mut request = Vec::new();
    for key in keys {
        quotad::resp::write_request(&mut request, &[b"GET", key.as_ref()]);
    }
    stream.write_all(&request)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 65_536]);
    // `$5`, the value, each with a line's end.
    while answer.iter().filter(|byte| **byte == b'\n').count() < 2 * keys.len() {
        match stream.read(&mut buffer)? {
            0 => return Err("the server closed the connection".into()),
            length => answer.extend_from_slice(&buffer[..length]),
        }
        if answer[0] != b'$' || answer.starts_with(b"$-1") {
            return Err(String::from_utf8_lossy(&answer).into());
        }
    }
    Ok(())
}

/// Queries that have fetched keys so far.
fn queries(stream: &mut TcpStream) -> Result<u64, Box<dyn Error>> {
    stream.write_all(b"INFO persistence\r\n")?;
    let (mut answer, mut buffer) = (String::new(), [0; 65_536]);
    while !answer.contains("truth_trouble:") {
        let length = stream.read(&mut buffer)?;
        answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    let line = answer.lines().find_map(|line| line.strip_prefix("fetch_queries:"));
    Ok(line.ok_or("INFO tells no queries")?.trim().parse()?)
}

fn median(values: &mut [u128]) -> u128 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn hundredths(one: u128, other: u128) -> String {
    let hundredths = one * 100 / other.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
