//! Runs a scenario with one client, and the two against each other.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use crate::harness::Invocation;
use crate::harness::oracle::Oracle;

use super::compare::{accounts_for, broken_rules, disagreements, verdict};
use super::declared::{self, Declared, updating};
use super::differences::Difference;
use super::observe::Observed;
use super::scenario::{Client, Scenario};
use super::world::World;

/// Scenarios of one test that run at the same time, beside those of the other areas.
const WORKERS: usize = 2;

/// Who runs it.
#[derive(Clone, Copy)]
enum Who<'a> {
    We,
    They(&'a Oracle),
}

fn invocation<'a>(
    who: Who,
    scenario: &Scenario,
    world: &'a World,
    args: &[String],
) -> Invocation<'a> {
    let args: Vec<String> = args.iter().map(|arg| world.fill(arg)).collect();
    let mut run = match (who, scenario.client) {
        (Who::We, Client::Modern | Client::LegacyHf) => world.env.hf(args),
        (Who::We, Client::Legacy) => world.env.huggingface_cli(args),
        (Who::They(oracle), Client::Modern | Client::LegacyHf) => oracle.hf(&world.env, args),
        (Who::They(oracle), Client::Legacy) => oracle.huggingface_cli(&world.env, args),
    };
    for (name, value) in &scenario.vars {
        run = run.var(name, world.fill(value));
    }
    run.stdin(world.fill(scenario.stdin))
}

fn observe(who: Who, scenario: &Scenario) -> Observed {
    let mut world = World::new();
    for step in &scenario.steps {
        step(&mut world);
    }
    let mut observed = observe_in(&world, who, scenario);
    observed.met = world.faults.iter().map(|one| one.count() > 0).collect();
    observed
}

fn observe_in(world: &World, who: Who, scenario: &Scenario) -> Observed {
    for before in &scenario.before {
        let _unobserved = invocation(who, scenario, world, before).run();
    }
    world.hub.clear_requests();
    let run = invocation(who, scenario, world, &scenario.args);
    let Some(typed) = &scenario.terminal else {
        let output = run.run();
        let code = output
            .code
            .unwrap_or(128 + output.signal.unwrap_or_default());
        return Observed::after(
            &world.env,
            &world.hub,
            code,
            output.stdout(),
            output.stderr(),
        );
    };
    let mut terminal = run.terminal(40, 200);
    for line in typed {
        let shown = match who {
            Who::We => line.ours,
            Who::They(_) => line.theirs,
        };
        if !shown.is_empty() {
            match shown {
                shown if shown.starts_with("> ") => terminal.expect_menu(shown),
                "Token (not shown" | "Enter your token" => terminal.expect_hidden(shown),
                shown => terminal.expect(shown),
            }
            terminal.send(&world.fill(line.keys));
        }
    }
    let is_interrupted = typed.last().is_some_and(|line| line.keys == "\u{3}");
    let code = match who {
        Who::They(_) if is_interrupted => terminal.exit_code_with_ctrl_c(),
        _ => terminal.exit_code(),
    };
    Observed::after(&world.env, &world.hub, code, "", &terminal.transcript())
}

/// What a scenario came to.
struct Outcome {
    /// The differences of the list that account for something.
    seen: BTreeSet<&'static str>,
    /// What is not as declared; empty when all is well.
    wrong: Vec<String>,
}

fn judge(scenario: &Scenario, oracle: &Oracle, declared: &[&Difference]) -> Outcome {
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| observe(Who::We, scenario));
        let theirs = observe(Who::They(oracle), scenario);
        let ours = ours.join().unwrap_or_else(|panic| resume_unwind(panic));
        (ours, theirs)
    });
    let name = scenario.name();
    let found = disagreements(scenario.format(), &ours, &theirs);
    let seen: BTreeMap<&str, &Difference> = found
        .iter()
        .filter_map(|one| accounts_for(&name, one))
        .map(|known| (known.name, known))
        .collect();
    let mut wrong = if updating() {
        let seen: Vec<&Difference> = seen.values().copied().collect();
        verdict(&name, &found, &seen)
    } else {
        verdict(&name, &found, declared)
    };
    let unmet = ours.met.iter().zip(&theirs.met).any(|(a, b)| !a && !b);
    if unmet {
        wrong.push("no request of either client met a planned fault".to_owned());
    }
    wrong.extend(broken_rules(
        &scenario.args,
        &ours,
        scenario.terminal.is_some(),
    ));
    if !wrong.is_empty() {
        wrong.push(format!("our stderr:   {}", ours.stderr.trim_end()));
        wrong.push(format!("their stderr: {}", theirs.stderr.trim_end()));
    }
    Outcome {
        seen: seen.into_keys().collect(),
        wrong,
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// Runs an area of the table; panics with everything that is not as declared in its file.
pub fn compare_all(area: &str, scenarios: Vec<Scenario>) {
    let declared = Declared::load(area, &scenarios);
    let only = std::env::var("PARITY_ONLY").unwrap_or_default();
    let chosen = scenarios.iter().enumerate();
    let queue = Mutex::new(chosen.filter(|(_, scenario)| scenario.name().contains(&only)));
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().expect("queue").next();
            let Some((number, scenario)) = next else {
                return;
            };
            let Some(oracle) = scenario.client.oracle() else {
                return;
            };
            let declared = declared.of(scenario);
            // A panic, such as a prompt that never shows, must not hide how the others fare.
            let judged = catch_unwind(AssertUnwindSafe(|| judge(scenario, &oracle, &declared)));
            let outcome = judged.unwrap_or_else(|panic| Outcome {
                seen: BTreeSet::new(),
                wrong: vec![message_of(&*panic)],
            });
            outcomes.lock().expect("outcomes").push((number, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let mut outcomes = outcomes.into_inner().expect("outcomes");
    outcomes.sort_by_key(|(number, _)| *number);
    if updating() && only.is_empty() {
        let seen = outcomes
            .iter()
            .map(|(number, outcome)| (&scenarios[*number], &outcome.seen));
        declared::write(area, seen);
    }
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter(|(_, outcome)| !outcome.wrong.is_empty())
        .map(|(number, outcome)| {
            format!(
                "# {}\n  {}",
                scenarios[number].name(),
                outcome.wrong.join("\n  ")
            )
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} scenarios are not as declared:\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
}
