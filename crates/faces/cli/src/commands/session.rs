//! Sessions.

mod rules;

use self::rules::{ChangedRules, Rules};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use crate::{input, render};
use capstan_client::{Client, v1};
use clap::{Args, Subcommand};
use serde_json::json;

/// Sessions of one request.
const PAGE: u32 = 500;

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Open a session
    #[command(
        after_help = "Examples:\n  capstan session create shop\n  capstan session create shop --lease 30s --attempts unlimited --on-exhausted skip --limit dump=4"
    )]
    Create {
        /// 1 to 50 characters of A-Z a-z 0-9 _ -
        name: String,
        #[command(flatten)]
        rules: Box<Rules>,
        /// What you want to keep with it, as JSON
        #[arg(long, value_parser = input::json, value_name = "JSON")]
        notes: Option<String>,
    },
    /// List the sessions there are
    #[command(visible_alias = "ls")]
    List,
    /// Show a session's rules, times and counts
    Get(Named),
    /// Change a session's rules or notes
    #[command(after_help = "Example:\n  capstan session update shop --lease 1m --on-exhausted skip")]
    Update {
        /// The session
        name: String,
        #[command(flatten)]
        rules: Box<ChangedRules>,
        /// New notes, as JSON
        #[arg(long, value_parser = input::json, value_name = "JSON")]
        notes: Option<String>,
    },
    /// Remove a session and its items; live leases are revoked
    Delete(Named),
    /// Stop handing out work
    Pause {
        /// The session
        name: String,
        /// Take leases back at once; otherwise holders finish
        #[arg(long)]
        immediate: bool,
        /// Why, for people
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Go on; failed items become pending with a fresh set of attempts
    Resume(Named),
    /// End a session's unfinished work for good
    Cancel {
        /// The session
        name: String,
        /// Why, for people
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// End a session: nothing changes in it any more
    Close(Named),
    /// Limit live leases, of one session or of all together
    #[command(
        after_help = "Examples:\n  capstan session limit shop dump=4 host:db1=2\n  capstan session limit shop dump=none\n  capstan session limit --all-sessions global=64"
    )]
    Limit(LimitOptions),
    /// Keep a group from being empty until its gate is opened
    HoldGate(GateOptions),
    /// Open a gate of a group
    OpenGate(GateOptions),
    /// Follow what happens, a line for each change
    #[command(
        after_help = "Examples:\n  capstan session watch shop\n  capstan session watch shop --from 1200 --output json"
    )]
    Watch {
        /// The session; none means all
        name: Option<String>,
        /// The first position to show; without, from now on
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
    },
}

/// A session by its name.
#[derive(Args, Debug)]
pub struct Named {
    /// The session
    name: String,
}

/// Limits, and of what.
#[derive(Args, Debug)]
pub struct LimitOptions {
    /// The session, then limits as NAME=N; N is 1 to 4096, or none to lift the limit
    #[arg(required = true, value_name = "SESSION | NAME=N")]
    words: Vec<String>,
    /// The limits hold for all sessions together
    #[arg(long)]
    all_sessions: bool,
}

/// A gate.
#[derive(Args, Debug)]
pub struct GateOptions {
    /// The session
    session: String,
    /// The group
    group: String,
    /// The gate
    gate: String,
}

/// Does what was typed.
pub async fn run(command: SessionCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    match command {
        SessionCommand::Create { name, rules, notes } => {
            let request = v1::CreateSessionRequest {
                session: name.clone(),
                policy: Some(rules.policy()?),
                notes,
                ..Default::default()
            };
            client.create_session_with(request).await?;
            done(context, &name, "created")
        }
        SessionCommand::List => list(&client, context).await,
        SessionCommand::Get(Named { name }) => {
            let session = client.session(&name)?.get().await?;
            context.out.show(|| render::session(&session), || render::status_of_all(session.status.as_ref()))
        }
        SessionCommand::Update { name, rules, notes } => {
            client.session(&name)?.update(rules.change(), notes).await?;
            done(context, &name, "updated")
        }
        SessionCommand::Delete(Named { name }) => {
            client.session(&name)?.delete().await?;
            done(context, &name, "deleted")
        }
        SessionCommand::Pause { name, immediate, reason } => {
            client.session(&name)?.pause(immediate, &reason).await?;
            done(context, &name, "paused")
        }
        SessionCommand::Resume(Named { name }) => {
            client.session(&name)?.resume().await?;
            done(context, &name, "resumed")
        }
        SessionCommand::Cancel { name, reason } => {
            client.session(&name)?.cancel(&reason).await?;
            done(context, &name, "cancelled")
        }
        SessionCommand::Close(Named { name }) => {
            client.session(&name)?.close().await?;
            done(context, &name, "closed")
        }
        SessionCommand::Limit(options) => limit(&client, options, context).await,
        SessionCommand::HoldGate(GateOptions { session, group, gate }) => {
            client.session(&session)?.hold_gate(&group, &gate).await?;
            done(context, &session, "gate held")
        }
        SessionCommand::OpenGate(GateOptions { session, group, gate }) => {
            client.session(&session)?.open_gate(&group, &gate).await?;
            done(context, &session, "gate opened")
        }
        SessionCommand::Watch { name, from } => {
            watch(&client, name.as_deref().unwrap_or_default(), from, context).await
        }
    }
}

fn done(context: &Context, session: &str, what: &str) -> Result<(), Failure> {
    context.out.stream(|| json!({ "session": session, "done": what }), || format!("session {session}: {what}"))
}

async fn list(client: &Client, context: &Context) -> Result<(), Failure> {
    let (mut sessions, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.sessions(PAGE, &cursor).await?;
        sessions.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    context.out.show(
        || json!({ "sessions": sessions.iter().map(render::session).collect::<Vec<_>>() }),
        || render::sessions(&sessions, jiff::Timestamp::now()),
    )
}

async fn limit(client: &Client, options: LimitOptions, context: &Context) -> Result<(), Failure> {
    let (session, words) = match (options.all_sessions, options.words.split_first()) {
        (true, _) => (None, &options.words[..]),
        (false, Some((session, words))) if !words.is_empty() => (Some(client.session(session)?), words),
        (false, _) => return Err(Failure::Usage("expected a session and at least one NAME=N".into())),
    };
    let limits = words.iter().map(|word| input::limit(word)).collect::<Result<Vec<_>, _>>().map_err(Failure::Usage)?;
    let mut table = Table::new(["LIMIT", "MOST"]);
    for (name, value) in &limits {
        match &session {
            Some(session) => session.set_limit(name, *value).await?,
            None => client.set_limit(name, *value).await?,
        }
        table.row([name.clone(), value.map_or_else(|| "none".into(), |value| value.to_string())]);
    }
    let set = limits.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>();
    let session = session.as_ref().map(|session| session.name().to_owned());
    context.out.show(|| json!({ "session": session, "limits": set }), || table)
}

async fn watch(client: &Client, session: &str, from: Option<u64>, context: &Context) -> Result<(), Failure> {
    let mut changes = client.watch(from, session).await?;
    loop {
        let change = changes.next().await?;
        context.out.stream(|| render::change(&change), || render::change_line(&change))?;
    }
}
