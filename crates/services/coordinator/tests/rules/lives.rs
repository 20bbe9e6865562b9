//! Random work, housekeeping, crashes and power cuts: what is read back is what was made durable, no more and no less.
//!
//! The script keeps every commit that was ever answered, also those that the log has let go of. A state made of all of
//! them from the very beginning, without a snapshot, is what each start is compared with.

use crate::scripted::Reply;
use crate::stage::*;
use capstan_coordinator::{Failure, Handle, Retention, State, StateEvent};
use capstan_ids::{ItemId, Millis, Moment, Monotonic, SessionName, Token, WallTime};
use capstan_journal::Journal;
use capstan_migration::{JobCommand, JobName, Jobs};
use capstan_registry::{Listing, PipelineId, PipelineStatus, PipelineView, Registry, Resources};
use capstan_work::{Answer, Command, Complete, Holder, ItemView, SessionView, WorkState};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Delete(usize),
    Add {
        session: usize,
        items: usize,
    },
    Acquire(usize),
    /// Ends one of the leases that were granted, well or not; it may be over already.
    End {
        lease: usize,
        how: u8,
    },
    Job {
        job: usize,
        what: u8,
    },
    Pass(u64),
    KeepHouse,
    Restart,
    Kill {
        written: bool,
    },
    PowerFailsAt(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let session = || 0..3_usize;
    let step = prop_oneof![
        3 => session().prop_map(Step::Open),
        2 => session().prop_map(Step::Delete),
        8 => (session(), 1..12_usize).prop_map(|(session, items)| Step::Add { session, items }),
        8 => session().prop_map(Step::Acquire),
        8 => (any::<usize>(), 0..4_u8).prop_map(|(lease, how)| Step::End { lease, how }),
        3 => (0..2_usize, 0..4_u8).prop_map(|(job, what)| Step::Job { job, what }),
        3 => prop_oneof![Just(1_000_u64), Just(100_000), Just(400_000)].prop_map(Step::Pass),
        6 => Just(Step::KeepHouse),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(|written| Step::Kill { written }),
        1 => (0..30_u64).prop_map(Step::PowerFailsAt),
    ];
    prop::collection::vec(step, 1..80)
}

/// Everything that can be seen of a state.
#[derive(Debug, PartialEq)]
struct Seen {
    sessions: Vec<(SessionView, Vec<ItemView>)>,
    jobs: Jobs,
    /// Each with what it reserved, and those who wait for room in their order.
    pipelines: Vec<Listed>,
    queue: Vec<PipelineId>,
}

/// What the journal says of a pipeline; when it was heard of, memory alone knows.
type Listed = (PipelineId, PipelineStatus, [u64; 2], Option<Resources>);

fn see(work: &WorkState, jobs: &Jobs, registry: &Registry) -> Seen {
    let items = |view: &SessionView| work.items_from(&view.name, 0).unwrap().collect();
    let sessions = work.sessions_after(None).map(|view| (items(&view), view)).map(|(items, view)| (view, items));
    let mut sessions: Vec<_> = sessions.collect();
    for (view, _) in &mut sessions {
        view.limits.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let page = registry.list(&Listing::default(), WallTime(0)).unwrap();
    let records = |view: &PipelineView| [view.total_records, view.failed_records];
    let listed = |view: PipelineView| (view.id.clone(), view.status, records(&view), view.reserved);
    let queue = registry.queue().into_iter().map(|place| place.id).collect();
    Seen { sessions, jobs: jobs.clone(), pipelines: page.pipelines.into_iter().map(listed).collect(), queue }
}

struct Life {
    stage: Stage,
    luck: Vec<u16>,
    leases: Vec<(SessionName, ItemId, Token)>,
    number: usize,
}

fn session(number: usize) -> SessionName {
    named(["a", "b", "c"][number])
}

impl Life {
    /// A state made of the whole history.
    fn replayed(&self) -> Seen {
        let (mut work, mut jobs, mut registry) = (WorkState::new(), Jobs::default(), Registry::new());
        for (first, commit) in self.stage.script.history() {
            for entry in commit.entries(first) {
                let moment = Moment { monotonic: Monotonic(0), wall: commit.at() };
                match StateEvent::decode(entry.stream, entry.event).unwrap() {
                    StateEvent::Work(session, event) => {
                        let stamp = capstan_work::Stamp { position: entry.position, moment };
                        work.apply(stamp, session.as_ref(), &event);
                    }
                    StateEvent::Job(event) => {
                        let stamp = capstan_migration::Stamp { position: entry.position, wall: moment.wall };
                        jobs.apply(stamp, &event);
                    }
                    StateEvent::Registry(event) => registry.apply(moment, &event),
                    StateEvent::Led(_) => {}
                }
            }
        }
        see(&work, &jobs, &registry)
    }

    /// Starts, and compares what was read back with the history.
    async fn start(&self) -> Server {
        // What was offered and never answered may stand.
        let next = self.stage.journal().tail().unwrap().next;
        if let Some((position, commit)) = self.stage.script.offers().pop()
            && self.stage.script.history().last().is_none_or(|(last, _)| *last < position)
            && position < next
        {
            self.stage.script.stands(position, commit);
        }
        let server = self.stage.start();
        self.compare(&server.handle).await.expect("it has just started");
        server
    }

    async fn compare(&self, handle: &Handle) -> Result<(), Failure> {
        let look = |state: &State| {
            state.check().unwrap();
            see(&state.work, &state.jobs, &state.registry)
        };
        let seen = handle.read(look).await?;
        assert_eq!(seen, self.replayed());
        Ok(())
    }

    async fn live(&mut self, steps: Vec<Step>) {
        let mut server = self.start().await;
        for step in steps {
            let outcome = match step {
                Step::Restart => Err(Failure::Stopped),
                Step::Kill { written } => {
                    self.stage.script.answer(if written { Reply::BrokenAfterWriting } else { Reply::Broken });
                    let opening = open(&named(&format!("last-{}", self.number)), vec![]);
                    self.number += 1;
                    server.handle.submit(opening).await.map(drop)
                }
                step => self.step(&server, step).await,
            };
            let goes_on = match outcome {
                Ok(()) => true,
                Err(Failure::Rejected(_) | Failure::JobRejected(_) | Failure::PipelineRejected(_)) => true,
                Err(Failure::Stopped | Failure::JournalBroken) => false,
                Err(other) => panic!("{other}"),
            };
            if !goes_on {
                server = self.start_again(server).await;
            }
        }
        let _ = server.coordinator.stop().await;
        self.cut_power();
        self.start().await.stop().await;
    }

    async fn start_again(&mut self, server: Server) -> Server {
        // It may have ended in its own way.
        let _ = server.coordinator.stop().await;
        self.cut_power();
        self.start().await
    }

    /// A third of the pieces that were not flushed survives whole, a third not at all, the rest is torn.
    fn cut_power(&mut self) {
        let luck = self.luck.clone();
        let mut draws = luck.iter().copied().cycle();
        self.stage.disk.cut_power(|length| match draws.next().unwrap() {
            draw if draw % 3 == 0 => 0,
            draw if draw % 3 == 1 => length,
            draw => usize::from(draw) % (length + 1),
        });
        self.luck.rotate_left(1);
    }

    async fn step(&mut self, server: &Server, step: Step) -> Result<(), Failure> {
        let handle = &server.handle;
        match step {
            Step::Open(number) => drop(handle.submit(open(&session(number), vec![])).await?),
            Step::Delete(number) => drop(handle.submit(Command::DeleteSession { session: session(number) }).await?),
            Step::Add { session: number, items } => {
                let numbers = self.number..self.number + items;
                self.number += items;
                drop(handle.submit(add(&session(number), numbers)).await?);
            }
            Step::Acquire(number) => {
                let acquire =
                    capstan_work::Acquire { max: 3, ..capstan_work::Acquire::from(session(number), worker("alice")) };
                if let Answer::Granted(grants) = handle.submit(Command::Acquire(acquire)).await? {
                    let leases = grants.into_iter().map(|g| (g.session, ItemId::new(g.body.id()).unwrap(), g.token));
                    self.leases.extend(leases);
                }
            }
            Step::End { lease, how } if !self.leases.is_empty() => {
                let (session, item, token) = self.leases.swap_remove(lease % self.leases.len());
                drop(handle.submit(ending(session, item, Holder::Token(token), how, &mut self.number)).await?);
            }
            Step::End { .. } => {}
            Step::Job { job, what } => drop(handle.command_job(job_command(job, what)).await?),
            Step::Pass(time) => {
                self.stage.clock.pass(Millis(time));
                handle.read(|_| ()).await?;
            }
            Step::KeepHouse => {
                for _ in 0..10 {
                    self.stage.clock.pass(Millis(500));
                    handle.read(|_| ()).await?;
                }
                self.compare(handle).await?;
            }
            Step::PowerFailsAt(flush) => self.stage.disk.lose_power_at_flush(flush),
            Step::Restart | Step::Kill { .. } => unreachable!("they are the caller's"),
        }
        Ok(())
    }
}

fn ending(session: SessionName, item: ItemId, holder: Holder, how: u8, number: &mut usize) -> Command {
    let checkpoint = || Some(r#"{"at":7}"#.into());
    match how {
        0 => {
            *number += 1;
            let successors = vec![crate::stage::item(*number)];
            Command::Complete(Complete { successors, ..Complete::new(session, item, holder) })
        }
        1 => Command::Complete(Complete::new(session, item, holder)),
        2 => Command::Release { session, item, holder, progress: None, checkpoint: checkpoint() },
        _ => Command::Fail {
            session,
            item,
            holder,
            error: "no route".into(),
            permanent: false,
            retry_after: None,
            checkpoint: checkpoint(),
        },
    }
}

fn job_command(job: usize, what: u8) -> JobCommand {
    let job = JobName::new(["move", "copy"][job]).unwrap();
    match what {
        0 => {
            let spec = serde_json::from_str(r#"{"from": "dump:./backup", "to": "kv://shop"}"#).unwrap();
            JobCommand::Submit { name: Some(job), spec: Box::new(spec) }
        }
        1 => JobCommand::Pause { job, immediate: true, reason: "enough".into() },
        2 => JobCommand::Cancel { job, drop_partial: false, reason: "enough".into() },
        _ => JobCommand::Forget { job },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_back_is_what_was_made_durable(
        steps in steps(),
        luck in prop::collection::vec(any::<u16>(), 1..20),
        keep in 1..3_usize,
    ) {
        let retention = Retention { session_every: 8, keep, held_back_max: 2_048, ..Retention::default() };
        let stage = Stage { retention, segment_bytes: 4 << 10, ..Stage::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut life = Life { stage, luck, leases: Vec::new(), number: 0 };
        runtime.block_on(life.live(steps));
    }
}
