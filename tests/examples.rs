//! Every command's examples, run in order on an empty server, over RESP2 and RESP3.

mod support;

use quotad::dispatch::testing::Harness;
use support::decode;

fn check_examples(resp3: bool) {
    let commands = quotad::command::table();
    let mut wrong = Vec::new();
    for command in commands.all() {
        let mut server = Harness::new(quotad::command::table());
        if resp3 {
            server.speak_resp3();
        }
        for example in command.spec.examples {
            let bytes = server.call(example.call);
            let (reply, length) = decode(&bytes).expect("the reply is whole");
            assert_eq!(length, bytes.len(), "{} is answered once", example.call);
            let expected = example.resp3.filter(|_| resp3).unwrap_or(example.reply);
            let answered = reply.in_cli_notation();
            if answered != expected {
                wrong.push(format!(
                    "{}: {}\n  says     {expected}\n  answered {answered}",
                    command.spec.name, example.call
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "examples that are not true:\n{}", wrong.join("\n"));
}

#[test]
fn over_resp2() {
    check_examples(false);
}

#[test]
fn over_resp3() {
    check_examples(true);
}

#[test]
fn every_command_shows_how_it_is_called() {
    let commands = quotad::command::table();
    let silent: Vec<_> = commands
        .all()
        .iter()
        .filter(|command| command.spec.examples.is_empty() && command.spec.subcommands.is_empty())
        .map(|command| command.spec.name)
        .collect();
    let only_help = silent.iter().all(|name| name.ends_with("|help"));
    assert!(only_help, "without an example: {silent:?}");
}
