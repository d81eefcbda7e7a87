//! CONFIG GET: the values of settings.

use crate::command::glob;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "config|get",
    syntax: "parameter [parameter ...]",
    summary: "Answers the settings whose names match a pattern, secrets hidden.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of settings and patterns.",
    arity: Arity::AtLeast(3),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("CONFIG GET nothing", "(empty array)").resp3("(empty hash)")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let patterns: Vec<Vec<u8>> = args.rest().map(<[u8]>::to_ascii_lowercase).collect();
    let mut settings = context.ports.settings.all();
    settings.retain(|(name, _)| {
        patterns.iter().any(|pattern| glob::matches(pattern, name.to_ascii_lowercase().as_bytes()))
    });
    context.reply.map(settings.len());
    for (name, value) in &settings {
        context.reply.text(name);
        context.reply.text(value);
    }
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn patterns_in_any_case_and_each_setting_once() {
        let mut harness = Harness::new(crate::command::table());
        let settings = [("timeout", "0"), ("tcp-keepalive", "300"), ("maxmemory", "0")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        harness.outside.settings.lock().extend(settings);
        let timeout = b"*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n";
        assert_eq!(harness.call("CONFIG GET timeout"), timeout);
        assert_eq!(harness.call("CONFIG GET TIME* time?ut nothing"), timeout);
        assert_eq!(harness.call("CONFIG GET nothing"), b"*0\r\n");
        assert!(harness.call("CONFIG GET t*").starts_with(b"*4\r\n"));
        harness.speak_resp3();
        assert!(harness.call("CONFIG GET *").starts_with(b"%3\r\n"));
    }
}
