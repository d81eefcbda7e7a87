//! One client as CLIENT LIST and CLIENT INFO tell it.

use std::fmt::Write as _;

use super::super::auth::DEFAULT_USER;
use crate::dispatch::{ClientRecord, Context};

/// Appends the line of a client, without a line end. Fields are Redis 7.2's, in its order; what does not exist here
/// (subscriptions, transactions, buffers of other kinds) tells so as it does there. The file descriptor is not told.
pub(super) fn write(line: &mut String, context: &Context<'_>, client: &ClientRecord) {
    let labels = client.labels();
    let (input_bytes, output_bytes) = client.buffers();
    let total_bytes =
        size_of::<ClientRecord>() + labels.name.len() + client.address.len() + client.local_address.len();
    let total_bytes = u64::try_from(total_bytes).unwrap_or(u64::MAX);
    let total_bytes =
        total_bytes.saturating_add(u64::from(input_bytes)).saturating_add(u64::from(output_bytes));
    let _infallible = write!(
        line,
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi=-1 qbuf={} \
         qbuf-free=0 argv-mem=0 multi-mem=0 rbs={output_bytes} rbp={output_bytes} obl={output_bytes} oll=0 omem=0 \
         tot-mem={total_bytes} events=r cmd={} user={DEFAULT_USER} redir=-1 resp={} lib-name={} lib-ver={}",
        client.id,
        client.address,
        client.local_address,
        labels.name,
        context.now.micros_since(client.connected_at) / MICROS_PER_SECOND,
        idle_secs(context, client),
        client.flags(),
        client.database(),
        input_bytes,
        last_command(context, client),
        if client.is_resp3() { 3 } else { 2 },
        labels.library,
        labels.library_version,
    );
}

pub(super) const MICROS_PER_SECOND: u64 = 1_000_000;

fn idle_secs(context: &Context<'_>, client: &ClientRecord) -> u64 {
    if is_own(context, client) { 0 } else { context.now.micros_since(client.last_used()) / MICROS_PER_SECOND }
}

/// The name of the client's last command. The client that asks has its turn not noted yet.
fn last_command(context: &Context<'_>, client: &ClientRecord) -> &'static str {
    if is_own(context, client) {
        return context.name();
    }
    let last = client.last_command().and_then(|number| context.ports.commands.by_number(number));
    last.map_or("NULL", |command| command.spec.name)
}

fn is_own(context: &Context<'_>, client: &ClientRecord) -> bool {
    client.id == context.session.client.id
}
