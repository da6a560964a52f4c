//! `waymark completions` and `waymark man`: what shells and readers of manuals know of the command line.

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use clap_complete::Shell;

use super::{Cli, print};
use waymark_kernel::error::{Error, Result};

/// Prints the script by which a shell completes commands and options.
pub(super) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "waymark", &mut script);
    print(String::from_utf8(script).map_err(Error::internal)?.trim_end())
}

/// Prints the page of the manual on a command, such as `key create`; without one, that on all of them.
pub(super) fn man(command: &[String]) -> Result<()> {
    let command = named(command).map_err(|error| Error::bad_input(error.to_string()))?;
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Error::internal)?;
    print(String::from_utf8(page).map_err(Error::internal)?.trim_end())
}

/// The command of this name.
///
/// # Errors
/// When there is none.
pub(super) fn named(names: &[String]) -> Result<clap::Command, clap::Error> {
    let mut command = Cli::command().disable_help_subcommand(true);
    // Gives each command the name of its page, and the options that all have.
    command.build();
    for name in names {
        let Some(found) = command.find_subcommand(name) else {
            let message = format!("there is no command {:?}", names.join(" "));
            return Err(Cli::command().error(ErrorKind::InvalidSubcommand, message));
        };
        command = found.clone();
    }
    Ok(command)
}
