//! `easel user`: profiles, their PINs, passwords and API tokens. Knows no store: it asks the studio.

use super::{Exit, Failure, Shared, offline, say, secret};
use clap::{Subcommand, ValueEnum};
use panel::control::Control;
use panel::secrets::{check_password, check_pin, hash_now};
use panel::users::{Name, ProfileId, Role};

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// List all profiles
    List,
    /// Make a profile
    Add {
        /// Its name, in any script
        name: String,
        /// Its id: a-z, 0-9, - and _ [default: derived from the name]
        #[arg(long)]
        id: Option<String>,
        /// May turn admin mode on
        #[arg(long)]
        admin: bool,
    },
    /// Set a PIN, typed at the prompt or as one line of standard input
    SetPin {
        /// Id or name
        user: String,
        /// Take the PIN away instead
        #[arg(long)]
        remove: bool,
    },
    /// Set the password for admin mode, typed at the prompt or as one line of standard input
    SetPassword {
        /// Id or name
        user: String,
    },
    /// Log a profile out and keep it from being picked; its files are kept
    Disable {
        /// Id or name
        user: String,
    },
    /// Make a disabled profile usable again
    Enable {
        /// Id or name
        user: String,
    },
    /// Give the role that users.toml asks for
    Confirm {
        /// Id or name
        user: String,
    },
    /// Print a new API token, once
    Token {
        /// Id or name
        user: String,
        /// End all API tokens of the profile instead
        #[arg(long)]
        revoke: bool,
    },
    /// Print the hash of a PIN or password, for users.toml
    Hash {
        /// Which
        #[arg(value_enum)]
        what: Kind,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Pin,
    Password,
}

/// Asks the studio.
pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let question = match args.what {
        What::List => Control::UserList,
        What::Add { name, id, admin } => Control::UserAdd {
            name: Name::parse(&name).map_err(refused)?,
            id: id.as_deref().map(ProfileId::parse).transpose().map_err(refused)?,
            role: if admin { Role::Admin } else { Role::Artist },
        },
        What::SetPin { user, remove: true } => Control::UserSetPin { user, pin: None },
        What::SetPin { user, remove: false } => {
            let pin = secret::read_new("PIN")?;
            check_pin(&pin).map_err(refused)?;
            Control::UserSetPin { user, pin: Some(pin) }
        }
        What::SetPassword { user } => {
            let password = secret::read_new("password")?;
            check_password(&password).map_err(refused)?;
            Control::UserSetPassword { user, password }
        }
        What::Disable { user } => Control::UserDisable { user },
        What::Enable { user } => Control::UserEnable { user },
        What::Confirm { user } => Control::UserConfirm { user },
        What::Token { user, revoke: false } => Control::UserToken { user },
        What::Token { user, revoke: true } => Control::UserRevokeTokens { user },
        What::Hash { what } => return hash(what),
    };
    offline::run(shared, question)
}

fn hash(what: Kind) -> Result<Exit, Failure> {
    let (word, check): (_, fn(&_) -> _) = match what {
        Kind::Pin => ("PIN", check_pin),
        Kind::Password => ("password", check_password),
    };
    let typed = secret::read_new(word)?;
    check(&typed).map_err(refused)?;
    say(hash_now(&typed).as_str());
    Ok(Exit::Done)
}

fn refused(why: impl Into<anyhow::Error>) -> Failure {
    Failure { exit: Exit::Refused, why: why.into() }
}
