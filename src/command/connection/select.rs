//! SELECT: the database that the commands behind work on.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::DATABASES;

pub(super) static SPEC: Spec = Spec {
    name: "select",
    syntax: "index",
    summary: "Selects the database for the commands that follow.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[
        example("SELECT 15", "OK"),
        example("SELECT 16", "(error) ERR DB index is out of range"),
        example("SELECT -1", "(error) ERR DB index is out of range"),
        example("SELECT one", "(error) ERR value is not an integer or out of range"),
        example(
            "SELECT 4294967296",
            "(error) ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let index = args.next_integer()?;
    if i32::try_from(index).is_err() {
        return Err(CommandError::other(OVER_32_BITS).into());
    }
    let database = u8::try_from(index).ok().filter(|&database| usize::from(database) < DATABASES);
    context.session.select(database.ok_or(CommandError::DatabaseIndex)?);
    context.reply.ok();
    Ok(Outcome::Reply)
}

/// Redis reads the index as a 32-bit number.
const OVER_32_BITS: &str = "value is out of range, value must between -2147483648 and 2147483647";

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn every_database_holds_its_own_keys() {
        let mut harness = Harness::new(crate::command::table());
        for database in 0..16 {
            assert_eq!(harness.call(&format!("SELECT {database}")), b"+OK\r\n");
            assert_eq!(harness.call("INCR visits"), b":1\r\n");
            assert_eq!(harness.call("DBSIZE"), b":1\r\n");
        }
    }
}
