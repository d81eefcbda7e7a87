//! Where a command's keys are and what it does with them.

use crate::dispatch::{Args, CommandError, Context, Flags, Keys, Spec};
use crate::resp::ReplyWriter;

/// Writes the places of the keys as COMMAND tells them: none, or one range.
pub(super) fn write_specs(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    let Keys { first, last, step } = spec.keys;
    if first == 0 {
        reply.array(0);
        return;
    }
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    let behind_first = if last < 0 { last } else { last - i64::try_from(first).unwrap_or(i64::MAX) };
    reply.array(1);
    reply.map(3);
    reply.text("flags");
    write_access(reply, spec);
    reply.text("begin_search");
    reply.map(2);
    reply.text("type");
    reply.text("index");
    reply.text("spec");
    reply.map(1);
    reply.text("index");
    reply.count(first);
    reply.text("find_keys");
    reply.map(2);
    reply.text("type");
    reply.text("range");
    reply.text("spec");
    reply.map(3);
    reply.text("lastkey");
    reply.integer(behind_first);
    reply.text("keystep");
    reply.count(step);
    reply.text("limit");
    reply.integer(0);
}

/// Writes what is done with a key.
pub(super) fn write_access(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    let access: &[&str] =
        if spec.flags.has(Flags::WRITE) { &["RW", "access", "update"] } else { &["RO", "access"] };
    reply.set(access.len());
    access.iter().for_each(|word| reply.simple(word));
}

/// The command in the arguments, and the keys of that call.
pub(super) fn keys_of_call<'a>(
    context: &Context<'_>,
    args: Args<'a>,
) -> Result<(&'static Spec, Vec<&'a [u8]>), CommandError> {
    let words: Vec<&[u8]> = args.rest().collect();
    let commands = &context.ports.commands;
    let unknown = || CommandError::other("Invalid command specified");
    let mut command = words.first().and_then(|name| commands.find(name)).ok_or_else(unknown)?;
    if !command.spec.subcommands.is_empty() && words.len() >= 2 {
        command = commands.find_subcommand(command, words[1]).ok_or_else(unknown)?;
    }
    let spec = command.spec;
    if spec.keys == Keys::NONE {
        return Err(CommandError::other("The command has no key arguments"));
    }
    if !spec.arity.allows(words.len()) {
        return Err(CommandError::other("Invalid number of arguments specified for command"));
    }
    let keys = spec.keys.positions(words.len()).map(|position| words[position]);
    Ok((spec, keys.collect()))
}
