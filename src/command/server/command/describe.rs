//! A command as COMMAND and COMMAND INFO tell it.

use super::category::categories;
use super::keys::write_specs;
use crate::dispatch::{Context, Spec};
use crate::resp::ReplyWriter;

/// Writes the details of every command.
pub(super) fn write_all(context: &mut Context<'_>) {
    let commands = &context.ports.commands;
    context.reply.array(commands.top_level().count());
    commands.top_level().for_each(|command| write(&mut context.reply, command.spec));
}

/// Writes the ten fields of one command; subcommands are nested one deep.
pub(super) fn write(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    reply.array(10);
    reply.text(spec.name);
    reply.integer(spec.arity.as_number());
    let flags: Vec<_> = spec.flags.names().collect();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    reply.count(spec.keys.first);
    reply.integer(i64::try_from(spec.keys.last).unwrap_or(i64::MAX));
    reply.count(spec.keys.step);
    let categories = categories(spec);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(category));
    // Tips tell proxies of a cluster how to spread a command, which no proxy does here.
    reply.array(0);
    write_specs(reply, spec);
    reply.array(spec.subcommands.len());
    spec.subcommands.iter().for_each(|subcommand| write(reply, subcommand));
}
