//! COMMAND INFO: details of some commands.

use super::describe;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "command|info",
    syntax: "[command-name [command-name ...]]",
    summary: "Answers the details of these commands, of all for no names; nothing for unknown ones.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::AtLeast(2),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[example("COMMAND INFO nothing", "1) (nil)")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    if args.left() == 0 {
        describe::write_all(context);
        return Ok(Outcome::Reply);
    }
    context.reply.array(args.left());
    for name in args.rest() {
        match context.ports.commands.find_full(name) {
            Some(command) => describe::write(&mut context.reply, command.spec),
            None => context.reply.null_array(),
        }
        if context.reply.is_over() {
            break;
        }
    }
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn as_redis_tells_it() {
        let mut harness = Harness::new(crate::command::table());
        let get = "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n\
            *3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n\
            $12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n\
            $9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n\
            $7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n*-1\r\n";
        assert_eq!(String::from_utf8(harness.call("COMMAND INFO GET nothing")).unwrap(), get);
        assert!(
            harness.call("COMMAND INFO client|id").starts_with(b"*1\r\n*10\r\n$9\r\nclient|id\r\n:2\r\n")
        );
        assert_eq!(harness.call("COMMAND INFO client|nothing"), b"*1\r\n*-1\r\n");
        assert_eq!(harness.call("COMMAND"), harness.call("COMMAND INFO"));
        let count = harness.ports().commands.top_level().count();
        assert_eq!(harness.call("COMMAND COUNT"), format!(":{count}\r\n").into_bytes());
        assert!(harness.call("COMMAND").starts_with(format!("*{count}\r\n").as_bytes()));
    }
}
