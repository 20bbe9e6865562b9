//! What happened to pipelines, page by page: a page goes on where the one before it ended.

use super::{History, HistoryError, Kept, decode, read};
use crate::handle::Handle;
use crate::streams;
use capstan_ids::{Position, WallTime};
use capstan_registry::{Fact, PipelineId};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Facts of one page.
pub const FACTS_MAX: usize = 1_000;
/// Stories that are kept open for their next page.
const PARKED_MAX: usize = 4;
/// How long one is kept open: longer than whoever reads page after page takes between two.
const PARKED_FOR: Duration = Duration::from_secs(30);
/// Events among which the first of a time is looked for by reading them: fewer are not worth another look at the journal.
const READ_THROUGH: u64 = 16_384;

/// Which facts of the registry are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactFilter {
    /// Of this pipeline only.
    pub pipeline: Option<PipelineId>,
    /// Not older than this.
    pub from: Option<WallTime>,
    /// Older than this.
    pub until: Option<WallTime>,
    /// After this position.
    pub after: Option<Position>,
    /// At most so many, 1 to [`FACTS_MAX`].
    pub most: usize,
}

/// A page of facts.
#[derive(Clone, Debug, Default)]
pub struct FactPage {
    /// In order, each with its position.
    pub facts: Vec<(Position, Fact)>,
    /// What the next page comes after; none if this is the last.
    pub next: Option<Position>,
}

/// Facts as they are read on, from one page to the next.
struct Story {
    events: Box<dyn Iterator<Item = Result<Kept, HistoryError>> + Send>,
    /// Read, and too much for the page before.
    ahead: Option<(Position, Fact)>,
    /// Everything before it was read.
    reached: Position,
    /// Read to the end that the log had when it was opened.
    is_over: bool,
}

/// Stories that wait for their next page, by what that page asks for.
///
/// A journal finds the place of a position by reading up to it, as far as a segment; a reader that was left there need not.
/// Bounded in number. One that nobody goes on with is dropped with the next history that is asked for, and holds one open
/// file until then.
#[derive(Default)]
pub(crate) struct Parked(Mutex<VecDeque<(FactFilter, Instant, Story)>>);

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parked")
    }
}

impl Parked {
    /// The story whose next page this is.
    fn take(&self, filter: &FactFilter) -> Option<Story> {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parked.retain(|(_, since, _)| since.elapsed() < PARKED_FOR);
        let found = parked.iter().position(|(known, ..)| known.continues_as(filter))?;
        parked.remove(found).map(|(.., story)| story)
    }

    fn park(&self, filter: FactFilter, story: Story) {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while parked.len() >= PARKED_MAX {
            parked.pop_front();
        }
        parked.push_back((filter, Instant::now(), story));
    }
}

impl Handle {
    /// What happened to pipelines, from what is kept of it.
    pub async fn registry_facts(&self, filter: FactFilter) -> Result<FactPage, HistoryError> {
        if let Some(story) = self.parked.take(&filter) {
            match self.told_on(story, filter.clone()).await {
                // Retention may have passed it meanwhile: what is kept is found from the beginning.
                Err(HistoryError::Journal(_)) => {}
                told => return told,
            }
        }
        let first = filter.after.map_or(Position::new(1), |after| after.plus(1));
        let from = match filter.from {
            Some(time) => self.first_not_before(time, first).await?,
            None => first,
        };
        let story = self.open_story(from).await?;
        let (page, story) = filled(story, FactPage::default(), filter.clone()).await?;
        Ok(self.turned(page, story, filter))
    }

    /// The next page of a story, with what was journalled since it was opened.
    async fn told_on(&self, story: Story, filter: FactFilter) -> Result<FactPage, HistoryError> {
        let (mut page, mut story) = filled(story, FactPage::default(), filter.clone()).await?;
        if story.is_over {
            let grown = self.open_story(story.reached).await?;
            (page, story) = filled(grown, page, filter.clone()).await?;
        }
        Ok(self.turned(page, story, filter))
    }

    fn turned(&self, page: FactPage, story: Story, filter: FactFilter) -> FactPage {
        if page.next.is_some() {
            self.parked.park(FactFilter { after: page.next, ..filter }, story);
        }
        page
    }

    async fn open_story(&self, from: Position) -> Result<Story, HistoryError> {
        let history = self.open_history(from, None).await?;
        let events = history.events(streams::named(streams::REGISTRY), from).map(|event| Ok(event?));
        Ok(Story { events: Box::new(events), ahead: None, reached: from, is_over: false })
    }

    /// A position that everything before is older than `time`, not far before the first that is not, and not before `low`.
    ///
    /// Times of the log never go back, so it is halved again and again.
    async fn first_not_before(&self, time: WallTime, low: Position) -> Result<Position, HistoryError> {
        let mut high = self.status().durable().plus(1);
        let mut low = match self.commit_from(low).await? {
            Some((end, at)) if at < time => end,
            _ => return Ok(low),
        };
        while high.get().saturating_sub(low.get()) > READ_THROUGH {
            let middle = Position::new(low.get() + (high.get() - low.get()) / 2);
            match self.commit_from(middle).await? {
                Some((end, at)) if at < time => low = end,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Where the commit ends that holds a position, or the first one after it that is kept, and when it was made.
    async fn commit_from(&self, position: Position) -> Result<Option<(Position, WallTime)>, HistoryError> {
        let History { archive, log, .. } = self.open_history(position, None).await?;
        read(move || {
            let recorded = archive.chain(log).next().transpose()?;
            Ok(recorded.map(|recorded| (recorded.position.plus(recorded.commit.events()), recorded.commit.at())))
        })
        .await
    }
}

/// Reads on until a page is full, or there is no more.
async fn filled(mut story: Story, mut page: FactPage, filter: FactFilter) -> Result<(FactPage, Story), HistoryError> {
    read(move || {
        story.fill(&mut page, &filter)?;
        Ok((page, story))
    })
    .await
}

impl Story {
    fn fill(&mut self, page: &mut FactPage, filter: &FactFilter) -> Result<(), HistoryError> {
        while let Some(found) = self.next(filter)? {
            if page.facts.len() == filter.most.clamp(1, FACTS_MAX) {
                page.next = page.facts.last().map(|(position, _)| *position);
                self.ahead = Some(found);
                return Ok(());
            }
            page.facts.push(found);
        }
        Ok(())
    }

    fn next(&mut self, filter: &FactFilter) -> Result<Option<(Position, Fact)>, HistoryError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        for event in self.events.by_ref() {
            let (position, at, bytes) = event?;
            if filter.until.is_some_and(|until| at >= until) {
                return Ok(None);
            }
            self.reached = position.plus(1);
            if filter.from.is_some_and(|from| at < from) {
                continue;
            }
            let fact = Fact::of(&decode(position, &bytes)?);
            if let Some(fact) = fact.filter(|fact| filter.is_about(fact)) {
                return Ok(Some((position, fact)));
            }
        }
        self.is_over = true;
        Ok(None)
    }
}

impl FactFilter {
    fn is_about(&self, fact: &Fact) -> bool {
        self.pipeline.as_ref().is_none_or(|id| fact.pipeline.as_ref() == Some(id))
    }

    /// Whether the other wants the same facts from the same place on, in pages of whatever size.
    fn continues_as(&self, other: &Self) -> bool {
        let pages = |filter: &Self| Self { most: 0, ..filter.clone() };
        pages(self) == pages(other)
    }
}
