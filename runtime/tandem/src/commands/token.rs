//! `tandem token`: tokens for clients of the server.

use std::path::PathBuf;

use serde_json::json;

use super::batch::now;
use crate::cli::Context;
use crate::error::Error;
use crate::project;
use crate::tokens::{self, Role, Tokens};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token and print it: only this once, since the file has its hash alone
    New {
        /// Whose it is, for the log and to revoke it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it allows; several: read,write
        #[arg(long, value_name = "ROLE", required = true, value_delimiter = ',')]
        role: Vec<Role>,
    },
    /// List the tokens that there are
    List,
    /// Remove a token; a running server refuses it from then on
    Revoke {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Makes, lists or revokes.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let path = path(context)?;
    match &arguments.what {
        What::New { name, role } => {
            let token = tokens::add(&path, name, role, now())?;
            let roles: Vec<&str> = role.iter().map(|role| role.as_str()).collect();
            context.output.data(|| token.clone(), || json!({ "name": name, "roles": roles, "token": token }));
            context.output.note(format!(
                "note: it is shown this once; {} has its hash, and a running server knows it within a second",
                path.display()
            ));
        }
        What::List => {
            let tokens = Tokens::read(&path)?;
            let roles = |token: &tokens::Token| token.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>();
            let text = || {
                let width = tokens.all().iter().map(|token| token.name.len()).max().unwrap_or(0);
                let line = |token: &tokens::Token| {
                    format!("{:width$}  {}  {}\n", token.name, token.created, roles(token).join(","))
                };
                tokens.all().iter().map(line).collect()
            };
            let json = || {
                let list = tokens.all().iter().map(
                    |token| json!({ "name": token.name, "roles": roles(token), "created": token.created.to_string() }),
                );
                list.collect()
            };
            context.output.data(text, json);
        }
        What::Revoke { name } => {
            tokens::revoke(&path, name)?;
            context.output.note(format!("revoked {name}; a running server refuses it within a second"));
        }
    }
    Ok(())
}

/// The file that the project names.
fn path(context: &Context) -> Result<PathBuf, Error> {
    project::settings(&context.root()?)?.server.tokens.ok_or(Error::NoTokensFile)
}
