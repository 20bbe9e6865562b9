//! Listing items.

use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use capstan_client::{Client, v1};
use clap::{Args, ValueEnum};

/// Items of one request.
const PAGE: u32 = 500;
/// Rows of one table, so that a long list begins to show at once.
const ROWS: usize = 500;

/// Which items.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  capstan work list shop --state failed\n  capstan work list shop --state pending --kind dump --limit 20\n  capstan work list shop --output json     # one item a line"
)]
pub struct ListOptions {
    /// The session
    session: String,
    /// Only items in this state; repeat for more
    #[arg(long = "state", value_enum)]
    states: Vec<State>,
    /// Only items of this kind; repeat for more
    #[arg(long = "kind")]
    kinds: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Waiting,
    Blocked,
    Pending,
    Assigned,
    Completed,
    Failed,
    Cancelled,
}

impl State {
    fn wire(self) -> v1::ItemState {
        match self {
            Self::Waiting => v1::ItemState::Waiting,
            Self::Blocked => v1::ItemState::Blocked,
            Self::Pending => v1::ItemState::Pending,
            Self::Assigned => v1::ItemState::Assigned,
            Self::Completed => v1::ItemState::Completed,
            Self::Failed => v1::ItemState::Failed,
            Self::Cancelled => v1::ItemState::Cancelled,
        }
    }
}

/// Prints them page by page.
pub async fn list(options: ListOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let session = client.session(&options.session)?;
    let mut filter = v1::ListItemsRequest {
        states: options.states.iter().map(|state| state.wire() as i32).collect(),
        kinds: options.kinds,
        ..Default::default()
    };
    let mut left = options.limit.unwrap_or(u32::MAX);
    let (mut rows, mut first) = (Vec::new(), true);
    loop {
        filter.page_size = left.clamp(1, PAGE);
        let page = session.items(filter.clone()).await?;
        left -= u32::try_from(page.entries.len()).unwrap_or(left).min(left);
        let last = page.next_cursor.is_empty() || left == 0;
        if context.out.is_data() {
            for item in &page.entries {
                context.out.stream(|| render::item(item), String::new)?;
            }
        } else {
            rows.extend(page.entries);
            if rows.len() >= ROWS || (last && (!rows.is_empty() || first)) {
                context.out.show(|| serde_json::Value::Null, || render::items(&rows))?;
                (first, rows) = (false, Vec::new());
            }
        }
        if last {
            return Ok(());
        }
        filter.cursor = page.next_cursor;
    }
}
