//! `--enable` and `--disable`, in the order in which they were typed.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::rules::select::{Switch, Which};

#[derive(Debug, Clone, Default)]
pub(super) struct Switches(pub(super) Vec<Switch>);

const ENABLE: &str = "enable";
const DISABLE: &str = "disable";

impl FromArgMatches for Switches {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut typed: Vec<(usize, Switch)> = Vec::new();
        for (name, switch) in [
            (ENABLE, Switch::Enable as fn(Which) -> Switch),
            (DISABLE, Switch::Disable),
        ] {
            let places = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_many::<String>(name).into_iter().flatten();
            typed.extend(places.zip(values.map(|text| switch(Which::parse(text)))));
        }
        typed.sort_by_key(|(place, _)| *place);
        Ok(Self(typed.into_iter().map(|(_, switch)| switch).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Switches {
    fn augment_args(command: Command) -> Command {
        let one = |name, help| {
            Arg::new(name)
                .long(name)
                .value_name("PATTERN|tag:TAG")
                .action(ArgAction::Append)
                .help(help)
        };
        command
            .arg(one(
                ENABLE,
                "Rules to enable, by name (* for any text) or tag; repeatable",
            ))
            .arg(one(
                DISABLE,
                "Rules to disable; the last option that names a rule decides",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
