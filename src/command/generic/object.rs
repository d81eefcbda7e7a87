//! OBJECT: how a value lies in memory, and when it was used.

use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::Content;
use crate::engine::{StringView, View};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "object",
    syntax: "subcommand [key]",
    summary: "Answers how the value under a key lies in memory and when it was used.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(2),
    flags: Flags::NONE,
    keys: Keys::NONE,
    examples: &[],
    subcommands: &[&ENCODING, &FREQ, &HELP, &IDLETIME, &REFCOUNT],
    run: |context, _| Err(CommandError::WrongArity(context.name().to_owned()).into()),
};

static ENCODING: Spec = Spec {
    name: "object|encoding",
    summary: "Answers the form in which the value lies in memory.",
    examples: &[
        example("SET visits 7", "OK"),
        example("OBJECT ENCODING visits", "\"int\""),
        example("OBJECT ENCODING absent", "(nil)"),
    ],
    run: |context, args| answer(context, args, encoding, |reply, name| reply.text(name)),
    ..SUBCOMMAND
};

static FREQ: Spec = Spec {
    name: "object|freq",
    summary: "Refused: how often keys are used is not noted.",
    examples: &[example("OBJECT FREQ absent", "(nil)")],
    run: |context, mut args| {
        let key = args.next_bytes()?;
        if live::peek(context, key, |_, _| ())?.is_some() {
            return Err(CommandError::other(NO_FREQUENCY).into());
        }
        context.reply.null();
        Ok(Outcome::Reply)
    },
    ..SUBCOMMAND
};

static IDLETIME: Spec = Spec {
    name: "object|idletime",
    summary: "Answers the seconds since the value was last used.",
    examples: &[example("SET visits 7", "OK"), example("OBJECT IDLETIME visits", "(integer) 0")],
    run: |context, args| {
        let now = context.now;
        answer(context, args, |view| view.idle_secs(now), |reply, idle| reply.amount(idle))
    },
    ..SUBCOMMAND
};

static REFCOUNT: Spec = Spec {
    name: "object|refcount",
    summary: "Answers how many keys share the value, as Redis counts.",
    examples: &[example("SET greeting hello", "OK"), example("OBJECT REFCOUNT greeting", "(integer) 1")],
    run: |context, args| answer(context, args, references, |reply, count| reply.integer(count)),
    ..SUBCOMMAND
};

static HELP: Spec = Spec {
    name: "object|help",
    syntax: "",
    summary: "Answers what the subcommands do.",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    run: |context, _| {
        context.reply.array(HELP_LINES.len());
        HELP_LINES.iter().for_each(|line| context.reply.simple(line));
        Ok(Outcome::Reply)
    },
    ..SUBCOMMAND
};

/// What the subcommands have in common.
const SUBCOMMAND: Spec = Spec {
    name: "object|",
    syntax: "key",
    summary: "",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    keys: Keys::one(2),
    examples: &[],
    subcommands: &[],
    run: |context, _| Err(CommandError::WrongArity(context.name().to_owned()).into()),
};

/// The text of Redis, which counts uses only under settings that quotad does not have.
const NO_FREQUENCY: &str = "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
    switching between policies at runtime LRU and LFU data will take some time to adjust.";

const HELP_LINES: [&str; 15] = [
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Print this help.",
];

/// Strings up to this many bytes are called `embstr`, longer ones `raw`, as in Redis.
const EMBEDDED_BYTES: usize = 44;

/// Redis shares the integers below this, and answers the largest count for them.
const SHARED_INTEGERS: i64 = 10_000;

/// Reads something of the value under the key; answers it with `write`, null where there is no value.
fn answer<T>(
    context: &mut Context<'_>,
    mut args: Args<'_>,
    read: impl FnOnce(View<'_>) -> T,
    write: impl FnOnce(&mut ReplyWriter<'_>, T),
) -> Handled {
    let key = args.next_bytes()?;
    match live::peek(context, key, |view, _| read(view))? {
        Some(found) => write(&mut context.reply, found),
        None => context.reply.null(),
    }
    Ok(Outcome::Reply)
}

fn encoding(view: View<'_>) -> &'static str {
    match view.string() {
        Some(StringView::Integer(_)) => "int",
        Some(string) if string.len() <= EMBEDDED_BYTES => "embstr",
        Some(_) => "raw",
        None => match view.copy().0 {
            Content::Quotas(_) => "slots",
            _ => "word",
        },
    }
}

fn references(view: View<'_>) -> i64 {
    match view.string() {
        Some(StringView::Integer(integer)) if (0..SHARED_INTEGERS).contains(&integer) => i64::from(i32::MAX),
        _ => 1,
    }
}
