//! CONFIG SET: changes settings while the server runs.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "config|set",
    syntax: "parameter value [parameter value ...]",
    summary: "Changes settings: all that are named, or on an error none.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of settings.",
    arity: Arity::AtLeast(4),
    flags: Flags::ADMIN
        .with(Flags::DANGEROUS)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::SECRET),
    keys: Keys::NONE,
    examples: &[example(
        "CONFIG SET nothing 1",
        "(error) ERR Unknown option or number of arguments for CONFIG SET - 'nothing'",
    )],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    if !args.left().is_multiple_of(2) {
        return Err(CommandError::Syntax.into());
    }
    let settings = &context.ports.settings;
    let known = settings.all();
    let mut changes: Vec<(String, String)> = Vec::with_capacity(args.left() / 2);
    while let (Some(name), Some(value)) = (args.try_next(), args.try_next()) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if !known.iter().any(|(known, _)| *known == name) {
            return Err(CommandError::other(format!(
                "Unknown option or number of arguments for CONFIG SET - '{name}'"
            ))
            .into());
        }
        if changes.iter().any(|(earlier, _)| *earlier == name) {
            return Err(refused(&name, "duplicate parameter").into());
        }
        let value = std::str::from_utf8(value).map_err(|_| refused(&name, "argument must be text"))?;
        changes.push((name, value.to_owned()));
    }
    settings.set(&changes).map_err(CommandError::other)?;
    log(context, &changes);
    context.reply.ok();
    Ok(Outcome::Reply)
}

/// Tells who changed what: settings as they are shown, so that secrets stay hidden.
fn log(context: &Context<'_>, changes: &[(String, String)]) {
    let now = context.ports.settings.all();
    for (name, value) in now.iter().filter(|(name, _)| changes.iter().any(|(changed, _)| changed == name)) {
        tracing::info!(client = %context.session.client.address, setting = name, value, "CONFIG SET");
    }
}

fn refused(name: &str, why: &str) -> CommandError {
    CommandError::other(format!("CONFIG SET failed (possibly related to argument '{name}') - {why}"))
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn all_or_none() {
        let mut harness = Harness::new(crate::command::table());
        let settings = [("timeout", "0"), ("maxmemory", "0")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        harness.outside.settings.lock().extend(settings);
        for (call, error) in [
            ("timeout 1 foo 2", "Unknown option or number of arguments for CONFIG SET - 'foo'"),
            (
                "timeout 1 TIMEOUT 2",
                "CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
            ),
            ("timeout 1 maxmemory", "syntax error"),
            (
                "timeout 1 maxmemory \"\\xff\"",
                "CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be text",
            ),
        ] {
            let reply = String::from_utf8(harness.call(&format!("CONFIG SET {call}"))).unwrap();
            assert_eq!(reply, format!("-ERR {error}\r\n"));
            assert_eq!(harness.outside.settings.lock()[0].1, "0", "{call}");
        }
        assert_eq!(harness.call("CONFIG SET timeout 1 MaxMemory 5"), b"+OK\r\n");
        assert!(harness.outside.settings.lock().iter().map(|(_, value)| value).eq(["1", "5"]));
    }

    #[test]
    fn secrets_stay_out_of_the_slow_log() {
        let mut harness = Harness::new(crate::command::table());
        harness.outside.settings.lock().push(("requirepass".to_owned(), String::new()));
        harness.outside.slow_threshold_micros.store(1, std::sync::atomic::Ordering::Relaxed);
        harness.call("CONFIG SET requirepass secret");
        assert!(
            harness.outside.slow.lock().iter().all(|(_, slow)| !slow.words.contains(&b"secret".to_vec()))
        );
    }
}
