//! Memory per entry: fills a server with entries of one kind and prints what its process grew by for each.
//!
//! `memory KIND ENTRIES SERVER ADDRESS PID` prints one line of `measure server bytes` for the report. The server must
//! be fresh: memory that an earlier kind gave back would be used again and not be seen.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]

mod resident;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// Requests that are sent before their replies are read.
const PIPELINE: u64 = 500;

/// Entries before the first look at the process, so that what every server allocates once is not counted.
const WARM_UP_ENTRIES: u64 = 1_000;

/// What is asked once per entry. Every quota is such that an entry still matters when the last one was made: one unit
/// takes hours to come back.
fn commands(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "rate" => &["QUOTA.TAKE KEY 1 RATE 10 PER 1d"],
        "throttle" => &["CL.THROTTLE KEY 15 10 86400 1"],
        "counter" => &["INCR KEY"],
        "counter_ttl" => &["INCR KEY", "EXPIRE KEY 86400"],
        _ => return None,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, entries, server, address, process] = arguments.as_slice() else {
        return Err("usage: memory KIND ENTRIES SERVER ADDRESS PID".into());
    };
    let commands = commands(kind).ok_or("KIND is rate, throttle, counter or counter_ttl")?;
    let (entries, process): (u64, u32) = (entries.parse()?, process.parse()?);
    let mut stream = TcpStream::connect(address)?;
    fill(&mut stream, commands, 0..WARM_UP_ENTRIES)?;
    let before = resident::resident_bytes(process)?;
    fill(&mut stream, commands, WARM_UP_ENTRIES..WARM_UP_ENTRIES + entries)?;
    let after = resident::resident_bytes(process)?;
    println!("memory.{kind} {server} {}", after.saturating_sub(before) / entries);
    Ok(())
}

/// Sends the commands for each number, whose key is 16 bytes long.
fn fill(
    stream: &mut TcpStream,
    commands: &[&str],
    mut numbers: std::ops::Range<u64>,
) -> Result<(), Box<dyn Error>> {
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut output = Vec::new();
    let mut line = Vec::new();
    while !numbers.is_empty() {
        output.clear();
        let batch = numbers.by_ref().take(usize::try_from(PIPELINE)?);
        let mut sent = 0;
        for number in batch {
            let key = format!("key:{number:012}");
            for command in commands {
                write_request(&mut output, &command.replace("KEY", &key));
                sent += 1;
            }
        }
        stream.write_all(&output)?;
        for _ in 0..sent {
            skip_reply(&mut replies, &mut line)?;
        }
    }
    Ok(())
}

fn write_request(output: &mut Vec<u8>, command: &str) {
    output.extend(format!("*{}\r\n", command.split(' ').count()).bytes());
    for word in command.split(' ') {
        output.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

/// Reads one reply: an integer, a bulk string, or an array of such.
fn skip_reply(replies: &mut impl BufRead, line: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    let mut lines = 1;
    while lines > 0 {
        lines -= 1;
        line.clear();
        if replies.read_until(b'\n', line)? == 0 {
            return Err("the server closed the connection".into());
        }
        let rest = String::from_utf8_lossy(line.get(1..).unwrap_or_default());
        match line.first() {
            Some(b'-') => return Err(rest.into()),
            // Bulk strings here are names, without line ends.
            Some(b'$') if !rest.starts_with('-') => {
                line.clear();
                replies.read_until(b'\n', line)?;
            }
            Some(b'*') => lines += rest.trim().parse::<u64>()?,
            _ => {}
        }
    }
    Ok(())
}
