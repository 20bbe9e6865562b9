//! Several servers on one journal: who leads, who answers, and what is left when one of them is gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerting;
mod handing_over;
mod in_flight;
mod shared;

use capstan_coordinator::{Clock, Cluster, Failure, Handle, Options, Retention, SystemClock, Term, Turn};
use capstan_ids::{Epoch, ItemId, Millis, Moment, Position, SessionName, StreamName, WallTime, WorkerId};
use capstan_journal::Commit;
use capstan_work::{Acquire, Answer, Command, Grant, NewItem, Policy};
use shared::{Database, Wire};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Short enough for a test, long enough for a loaded machine.
const TERM: Term = Term { length: Millis(600), beat: Millis(60), look: Millis(20), grace: Millis(60) };

/// The machine's clock, which can be stopped for one server, as if its process were.
#[derive(Default)]
struct Watch {
    /// How far it stands behind or ahead.
    ahead: AtomicU64,
}

impl Clock for Watch {
    fn now(&self) -> Moment {
        let now = SystemClock.now();
        Moment { monotonic: now.monotonic + Millis(self.ahead.load(Ordering::SeqCst)), ..now }
    }
}

struct Server {
    cluster: Cluster,
    wire: Wire,
    clock: Arc<Watch>,
}

fn server(database: &Arc<Database>, name: &str) -> Server {
    server_of(database, name, TERM)
}

fn server_of(database: &Arc<Database>, name: &str, term: Term) -> Server {
    let wire = Wire::to(database);
    let clock = Arc::new(Watch::default());
    let retention = Retention { session_every: 50, keep: 1, held_back_max: 1 << 20, ..Retention::default() };
    let address = format!("http://{name}");
    let options = Options { address, clock: Arc::clone(&clock) as Arc<dyn Clock>, retention, ..Options::default() };
    let cluster = Cluster::start(Arc::new(wire.clone()), options, term).unwrap();
    Server { cluster, wire, clock }
}

impl Server {
    async fn leads(&self) -> Handle {
        let mut turns = self.cluster.turns();
        let turn = turns.wait_for(|turn| matches!(turn, Turn::Leader(_))).await.unwrap();
        match &*turn {
            Turn::Leader(handle) => handle.clone(),
            _ => unreachable!("it was waited for"),
        }
    }

    async fn stands_by(&self, leader: &str) {
        let mut turns = self.cluster.turns();
        let follows = |turn: &Turn| matches!(turn, Turn::Standby { leader: Some(known), .. } if known == leader);
        turns.wait_for(follows).await.unwrap();
    }
}

fn shop() -> SessionName {
    SessionName::new("shop").unwrap()
}

async fn open(handle: &Handle, items: usize) {
    let items = (0..items).map(|number| NewItem::new(ItemId::new(format!("orders/{number}")).unwrap())).collect();
    let command =
        Command::OpenSession { session: shop(), policy: Policy::default(), notes: None, items, gates: vec![] };
    handle.submit(command).await.unwrap();
}

async fn acquire(handle: &Handle) -> Result<Vec<Grant>, Failure> {
    let alice = WorkerId::new("alice").unwrap();
    match handle.submit(Command::Acquire(Acquire::from(shop(), alice))).await? {
        Answer::Granted(grants) => Ok(grants),
        _ => Ok(Vec::new()),
    }
}

#[tokio::test]
async fn one_leads_and_the_other_follows_it() {
    let database = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    open(&handle, 3).await;

    one.cluster.stop().await;
    let handle = two.leads().await;
    assert_eq!(handle.read(|state| state.work.session_names().len()).await, Ok(1));
    assert_eq!(acquire(&handle).await.unwrap().len(), 1);
    two.cluster.stop().await;
}

#[tokio::test]
async fn a_leader_that_stops_is_followed_at_once() {
    let database = Arc::default();
    let one = server(&database, "one");
    one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;

    let began = std::time::Instant::now();
    one.cluster.stop().await;
    two.leads().await;
    // A term need not pass: that alone would take longer.
    assert!(began.elapsed() < Duration::from_millis(TERM.length.get()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_leader_cut_off_answers_nothing_once_another_may_lead() {
    let database = Arc::default();
    let one = server(&database, "one");
    let old = one.leads().await;
    open(&old, 3).await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;

    one.wire.cut.store(true, Ordering::SeqCst);
    let new = two.leads().await;
    // By now the old one gives no answer, not even to a read of what it has in memory.
    assert!(old.read(|_| ()).await.is_err());
    assert!(acquire(&old).await.is_err());
    assert_eq!(acquire(&new).await.unwrap().len(), 1);

    one.wire.cut.store(false, Ordering::SeqCst);
    one.stands_by("http://two").await;
    two.cluster.stop().await;
    let again = one.leads().await;
    let granted = again.read(|state| state.work.check().is_ok()).await;
    assert_eq!(granted, Ok(true));
}

/// The quiet moment of the journal failed then, was taken for a broken journal, and the server ended for good.
#[tokio::test]
async fn a_database_that_is_away_in_a_quiet_moment_breaks_nothing() {
    let database = Arc::default();
    // Long enough that leadership outlasts the second after which a moment is a quiet one.
    let one = server_of(&database, "one", Term { length: Millis(2_000), ..TERM });
    let handle = one.leads().await;
    open(&handle, 1).await;
    one.wire.cut.store(true, Ordering::SeqCst);

    let mut turns = one.cluster.turns();
    let after = turns.wait_for(|turn| !matches!(turn, Turn::Leader(_))).await.unwrap().clone();
    assert!(matches!(after, Turn::Standby { .. }), "{after:?}");

    one.wire.cut.store(false, Ordering::SeqCst);
    assert_eq!(acquire(&one.leads().await).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_while_its_database_is_away_ends_well() {
    let database = Arc::default();
    let one = server(&database, "one");
    open(&one.leads().await, 1).await;
    let mut turns = one.cluster.turns();
    one.wire.cut.store(true, Ordering::SeqCst);

    one.cluster.stop().await;

    assert!(matches!(&*turns.wait_for(|turn| matches!(turn, Turn::Ended(_))).await.unwrap(), Turn::Ended(None)));
}

/// It was elected, gave signs of life, and waited for its connection, while nobody else could lead.
#[tokio::test]
async fn a_server_that_cannot_read_the_log_does_not_run_for_the_place() {
    let database = Arc::default();
    let one = server(&database, "one");
    open(&one.leads().await, 1).await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    let mut turns = two.cluster.turns();
    two.wire.log_cut.store(true, Ordering::SeqCst);
    turns.wait_for(|turn| matches!(turn, Turn::Standby { trouble: Some(_), .. })).await.unwrap();

    one.cluster.stop().await;
    let nobody = |turn: &Turn| matches!(turn, Turn::Standby { leader: None, trouble: Some(_), .. });
    turns.wait_for(nobody).await.unwrap();
    two.wire.log_cut.store(false, Ordering::SeqCst);

    // The first election that was held after the first server's.
    assert_eq!(two.leads().await.status().epoch(), Epoch::new(2));
}

#[tokio::test]
async fn a_server_that_slept_through_its_term_answers_nothing() {
    let database = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    open(&handle, 1).await;

    // Its machine slept: the clock has gone on, and nothing was said meanwhile.
    one.wire.cut.store(true, Ordering::SeqCst);
    one.clock.ahead.store(60_000, Ordering::SeqCst);
    assert!(handle.read(|_| ()).await.is_err());
}

/// Soundness 7: what it was promised is gone, and tokens that are held would be given again.
#[tokio::test]
async fn a_server_that_saw_the_log_end_later_does_not_lead_a_database_that_was_set_back() {
    let database: Arc<Database> = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    open(&handle, 3).await;
    let acknowledged = handle.status().durable();
    let mut turns = one.cluster.turns();
    one.wire.cut.store(true, Ordering::SeqCst);
    turns.wait_for(|turn| !matches!(turn, Turn::Leader(_))).await.unwrap();

    // Nobody else ran; the primary died, and its replica had not got everything.
    database.set_back(Position::new(2));
    one.wire.cut.store(false, Ordering::SeqCst);

    let ended = turns.wait_for(|turn| matches!(turn, Turn::Ended(_))).await.unwrap().clone();
    let Turn::Ended(Some(why)) = ended else { panic!("it ended well: {ended:?}") };
    assert!(why.contains("ends before position 2,") && why.contains("set back"), "{why}");
    assert!(why.contains(&format!("end before {}", acknowledged.plus(1))), "{why}");
    assert_eq!(database.commits().len(), 1, "nothing was written to it");
}

#[tokio::test]
async fn a_standby_that_saw_the_log_end_later_ends_too() {
    let database: Arc<Database> = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    open(&handle, 3).await;
    // It takes the lead by a commit of its own, so it has seen everything before that.
    one.cluster.stop().await;
    two.leads().await;
    let three = server(&database, "three");
    three.stands_by("http://two").await;
    let mut turns = two.cluster.turns();
    two.wire.cut.store(true, Ordering::SeqCst);
    turns.wait_for(|turn| !matches!(turn, Turn::Leader(_))).await.unwrap();
    three.leads().await;
    two.wire.cut.store(false, Ordering::SeqCst);
    two.stands_by("http://three").await;

    database.set_back(Position::new(2));

    turns.wait_for(|turn| matches!(turn, Turn::Ended(Some(_)))).await.unwrap();
}

#[tokio::test]
async fn a_leader_with_a_full_queue_works_it_off_and_stops() {
    let database: Arc<Database> = Arc::default();
    let wire = Wire::to(&database);
    let options = Options { address: "http://one".into(), queue: 1, ..Options::default() };
    let term = Term { length: Millis(20_000), ..TERM };
    let cluster = Cluster::start(Arc::new(wire.clone()), options, term).unwrap();
    let one = Server { cluster, wire, clock: Arc::default() };
    let handle = one.leads().await;
    open(&handle, 3).await;
    one.wire.slow.hold();
    let ask = || {
        tokio::spawn({
            let handle = handle.clone();
            async move { acquire(&handle).await }
        })
    };
    let flushing = ask();
    let slow = Arc::clone(&one.wire.slow);
    tokio::task::spawn_blocking(move || slow.holds_one()).await.unwrap();
    let queued = ask();
    tokio::task::yield_now().await;
    assert!(acquire(&handle).await.is_err(), "the queue is full");

    let stopping = tokio::spawn(one.cluster.stop());
    tokio::task::yield_now().await;
    one.wire.slow.let_go();

    tokio::time::timeout(Duration::from_secs(10), stopping).await.expect("it ends").unwrap();
    assert_eq!((flushing.await.unwrap().unwrap().len(), queued.await.unwrap().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn a_report_that_a_leader_holds_when_it_stops_is_known_to_the_next() {
    use capstan_registry::{Command, PipelineId, PipelineName, PipelineStatus, Register, StatusReport};
    let database = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    let id = PipelineId::new("orders").unwrap();
    let name = PipelineName::new("Orders").unwrap();
    handle.submit_pipeline(Command::Register(Register::new(id.clone(), name))).await.unwrap();
    for status in [PipelineStatus::Running, PipelineStatus::Failed] {
        let report = StatusReport { id: id.clone(), status, total_records: 7, failed_records: 7, bytes_moved: None };
        handle.submit_pipeline(Command::UpdateStatus(report)).await.unwrap();
    }

    one.cluster.stop().await;

    let seen = two.leads().await.read(move |state| state.registry.pipeline(&id, WallTime(0)).unwrap().status).await;
    assert_eq!(seen, Ok(PipelineStatus::Failed));
}

#[tokio::test]
async fn an_accession_goes_behind_a_commit_of_the_old_leader_that_came_late() {
    let database: Arc<Database> = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    open(&handle, 1).await;
    one.wire.cut.store(true, Ordering::SeqCst);
    // It was under way when the wire was cut, and arrives when the next leader has read everything.
    let mut late = Commit::new(WallTime(1));
    late.push(&StreamName::new("leader").unwrap(), |bytes| bytes.extend_from_slice(b"http://one"));
    database.arrives_late(late.clone());

    let two = server(&database, "two");
    let handle = two.leads().await;
    assert_eq!(acquire(&handle).await.unwrap().len(), 1);
    let commits = database.commits();
    let epochs: Vec<Epoch> = commits.iter().map(|recorded| recorded.epoch).collect();
    assert!(epochs.is_sorted(), "no commit stands under an epoch that was over: {epochs:?}");
    assert!(commits.iter().any(|recorded| recorded.commit == late), "it stands");
}

#[tokio::test]
async fn a_standby_that_fell_behind_what_is_kept_reads_the_snapshots() {
    let database: Arc<Database> = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    two.wire.cut.store(true, Ordering::SeqCst);
    open(&handle, 10).await;
    // Enough to be snapshotted and trimmed.
    let trimmed = async || {
        let first = database.commits().first().unwrap().position;
        let mut journal = one.wire.clone();
        capstan_journal::Journal::tail(&mut journal).unwrap().first > first
    };
    while !trimmed().await {
        let grants = acquire(&handle).await.unwrap();
        for grant in grants {
            let item = ItemId::new(grant.body.id()).unwrap();
            let holder = capstan_work::Holder::Token(grant.token);
            let release = Command::Release { session: shop(), item, holder, progress: None, checkpoint: None };
            handle.submit(release).await.unwrap();
        }
    }

    two.wire.cut.store(false, Ordering::SeqCst);
    one.cluster.stop().await;
    let handle = two.leads().await;
    assert_eq!(acquire(&handle).await.unwrap().len(), 1);
    assert_eq!(handle.read(|state| state.work.check().is_ok()).await, Ok(true));
}

#[tokio::test]
async fn a_lease_is_granted_once_whoever_leads() {
    let database: Arc<Database> = Arc::default();
    let servers = [server(&database, "a"), server(&database, "b"), server(&database, "c")];
    let done = Arc::new(AtomicBool::new(false));
    let mut asking = Vec::new();
    for each in &servers {
        let (turns, done) = (each.cluster.turns(), Arc::clone(&done));
        asking.push(tokio::spawn(async move {
            let mut granted = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let leads = match &*turns.borrow() {
                    Turn::Leader(handle) => Some(handle.clone()),
                    _ => None,
                };
                match leads {
                    Some(handle) => granted.extend(acquire(&handle).await.unwrap_or_default()),
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            granted
        }));
    }
    let first = async {
        loop {
            for each in &servers {
                if let Turn::Leader(handle) = &*each.cluster.turns().borrow() {
                    return handle.clone();
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    open(&first.await, 2_000).await;
    // Each in turn is cut off until another leads.
    for _ in 0..6 {
        let leader = servers.iter().position(|each| matches!(&*each.cluster.turns().borrow(), Turn::Leader(_)));
        let Some(leader) = leader else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        servers[leader].wire.cut.store(true, Ordering::SeqCst);
        let others = servers.iter().enumerate().filter(|(place, _)| *place != leader).map(|(_, each)| each);
        let leading: Vec<_> = others.map(|each| Box::pin(each.leads())).collect();
        first_of(leading).await;
        servers[leader].wire.cut.store(false, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    let mut items = Vec::new();
    for asked in asking {
        items.extend(asked.await.unwrap().iter().map(|grant| grant.body.id().to_owned()));
    }
    let granted = items.len();
    items.sort_unstable();
    items.dedup();
    assert_eq!(items.len(), granted, "leases last longer than the test: none may be granted twice");
    assert!(granted > 0);
    let highest = database.commits().last().map(|recorded| recorded.epoch);
    assert!(highest > Some(Epoch::new(3)), "leadership changed hands: {highest:?}");
    assert!(database.commits().iter().map(|recorded| recorded.position).is_sorted_by(|a: &Position, b| a < b));
}

/// The first of several to be ready.
async fn first_of<F: Future + Unpin>(mut all: Vec<F>) -> F::Output {
    std::future::poll_fn(move |context| {
        for one in &mut all {
            if let std::task::Poll::Ready(value) = std::pin::Pin::new(one).poll(context) {
                return std::task::Poll::Ready(value);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
