//! What the next leader owes to those who had something, or waited for it, under the one before.

use crate::shared::Database;
use crate::{Server, first_of, server, shop};
use capstan_coordinator::{Failure, Handle, State};
use capstan_ids::{ItemId, LimitName, Millis, WorkerId};
use capstan_migration::{JobCommand, JobName};
use capstan_registry::{Answer as Told, Command as Registry, PipelineId, Rejection, Reserve, RulesChange};
use capstan_work::{Acquire, Answer, Command, Complete, Grant, Holder, LimitValue, NewItem, Policy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;

/// How a leader goes.
#[derive(Clone, Copy, Debug)]
enum End {
    Stopped,
    Cut,
}

const BOTH: [End; 2] = [End::Stopped, End::Cut];

/// A leader, and who follows it.
struct Pair {
    one: Server,
    two: Server,
}

impl Pair {
    async fn begin() -> (Self, Handle) {
        let database: Arc<Database> = Arc::default();
        let one = server(&database, "one");
        let handle = one.leads().await;
        let two = server(&database, "two");
        two.stands_by("http://one").await;
        (Self { one, two }, handle)
    }

    /// The first one goes, and the other leads; both are given back, for who is dropped ends.
    async fn hand_over(self, end: End) -> (Option<Server>, Server, Handle) {
        let gone = match end {
            End::Stopped => {
                self.one.cluster.stop().await;
                None
            }
            End::Cut => {
                self.one.wire.cut.store(true, Ordering::SeqCst);
                Some(self.one)
            }
        };
        let handle = self.two.leads().await;
        (gone, self.two, handle)
    }
}

async fn see<T: Send + 'static>(handle: &Handle, look: impl FnOnce(&State) -> T + Send + 'static) -> T {
    let checked = move |state: &State| {
        state.check().unwrap();
        look(state)
    };
    handle.read(checked).await.unwrap()
}

fn job(name: &str) -> JobName {
    JobName::new(name).unwrap()
}

async fn submit(handle: &Handle, name: &str, priority: i16) {
    let spec = format!(
        r#"{{"from": "dump:a", "to": "kv://shop", "resources": {{"cpu_percent": 50, "memory_mb": 10, "priority": {priority}}}}}"#
    );
    let spec = Box::new(serde_json::from_str(&spec).unwrap());
    handle.command_job(JobCommand::Submit { name: Some(job(name)), spec }).await.unwrap();
}

async fn limit_cpu(handle: &Handle, percent: f64) {
    let change = RulesChange { cpu_percent_max: Some(percent), ..RulesChange::default() };
    handle.submit_pipeline(Registry::ChangeRules(change)).await.unwrap();
}

/// Who waits for room, in the order in which they get it.
async fn queue(handle: &Handle) -> Vec<String> {
    see(handle, |state| state.registry.queue().into_iter().map(|waiting| waiting.id.to_string()).collect()).await
}

/// Whether a job gives out work, and thereby whether it was let go.
async fn gives_work(handle: &Handle, name: &str) -> bool {
    let asked = Acquire::from(job(name).session(), WorkerId::new("alice").unwrap());
    matches!(handle.submit(Command::Acquire(asked)).await.unwrap(), Answer::Granted(_))
}

/// Does what a cancelled job has still to do.
async fn end_what_is_left(handle: &Handle, name: &str) {
    let asked = || Acquire::from(job(name).session(), WorkerId::new("alice").unwrap());
    while let Answer::Granted(grants) = handle.submit(Command::Acquire(asked())).await.unwrap() {
        let item = ItemId::new(grants[0].body.id()).unwrap();
        let ended = Complete::new(job(name).session(), item, Holder::Token(grants[0].token));
        handle.submit(Command::Complete(Complete { result: Some("{}".into()), ..ended })).await.unwrap();
    }
}

#[tokio::test]
async fn jobs_that_wait_for_room_are_admitted_by_the_next_leader_in_the_order_they_had() {
    for end in BOTH {
        let (pair, handle) = Pair::begin().await;
        // Room for one of them; the third is the most urgent, and the names are in no order.
        for (name, priority) in [("first", 0), ("z", 0), ("a", 0), ("urgent", 10)] {
            submit(&handle, name, priority).await;
        }
        let order = ["job-urgent", "job-z", "job-a"];
        assert_eq!(queue(&handle).await, order);

        let (_gone, two, handle) = pair.hand_over(end).await;

        assert_eq!(queue(&handle).await, order, "{end:?}");
        for name in ["urgent", "z", "a"] {
            assert!(!gives_work(&handle, name).await, "{end:?}: {name} waits");
            let job = job(name);
            let why = see(&handle, move |state| state.waits_for_room(&job)).await;
            assert!(why.is_some_and(|why| why.contains("waits for room")), "{end:?}: {name}");
        }
        // Room comes: one ends, and then there may be more of them at a time.
        let cancel = JobCommand::Cancel { job: job("first"), drop_partial: false, reason: "enough".into() };
        handle.command_job(cancel).await.unwrap();
        end_what_is_left(&handle, "first").await;
        assert_eq!(queue(&handle).await, order[1..], "{end:?}");
        assert!(gives_work(&handle, "urgent").await && !gives_work(&handle, "z").await, "{end:?}");
        limit_cpu(&handle, 100.0).await;
        assert_eq!(queue(&handle).await, order[2..], "{end:?}");
        assert!(gives_work(&handle, "z").await && !gives_work(&handle, "a").await, "{end:?}");
        limit_cpu(&handle, 150.0).await;
        assert!(queue(&handle).await.is_empty() && gives_work(&handle, "a").await, "{end:?}");
        two.cluster.stop().await;
    }
}

fn numbered(number: usize) -> ItemId {
    ItemId::new(format!("orders/{number}")).unwrap()
}

/// Five items, of which two may be leased at a time.
async fn open_limited(handle: &Handle) {
    let limit = LimitName::new("host:db1").unwrap();
    let limits = vec![(limit.clone(), LimitValue::new(2).unwrap())];
    let items =
        (0..5).map(|number| NewItem { limits: vec![limit.clone()], ..NewItem::new(numbered(number)) }).collect();
    let policy = Policy { limits, ..Policy::default() };
    let open = Command::OpenSession { session: shop(), policy, notes: None, items, gates: vec![] };
    handle.submit(open).await.unwrap();
}

/// As much as there is.
async fn take(handle: &Handle) -> Vec<Grant> {
    let asked = Acquire { max: 5, ..Acquire::from(shop(), WorkerId::new("alice").unwrap()) };
    match handle.submit(Command::Acquire(asked)).await.unwrap() {
        Answer::Granted(grants) => grants,
        _ => Vec::new(),
    }
}

fn complete(grant: &Grant) -> Complete {
    Complete::new(shop(), ItemId::new(grant.body.id()).unwrap(), Holder::Token(grant.token))
}

fn renew(grant: &Grant, checkpoint: Option<&str>) -> Command {
    let item = ItemId::new(grant.body.id()).unwrap();
    let (holder, checkpoint) = (Holder::Token(grant.token), checkpoint.map(Into::into));
    Command::Renew { session: shop(), item, holder, progress: None, checkpoint, lease: None }
}

#[tokio::test]
async fn leases_are_renewed_under_their_tokens_by_the_next_leader_and_fill_their_limits() {
    for end in BOTH {
        let (pair, handle) = Pair::begin().await;
        open_limited(&handle).await;
        let held = take(&handle).await;
        assert_eq!((held.len(), take(&handle).await.len()), (2, 0));
        handle.submit(renew(&held[0], Some("halfway"))).await.unwrap();

        let (_gone, two, handle) = pair.hand_over(end).await;

        assert!(take(&handle).await.is_empty(), "{end:?}: the limit is full");
        for grant in &held {
            let renewed = handle.submit(renew(grant, None)).await.unwrap();
            let Answer::Renewed { lease, item, .. } = renewed else { panic!("{end:?}: {renewed:?}") };
            // The whole of it: it began anew with this leader.
            assert_eq!((lease, item.body.id()), (grant.lease, grant.body.id()), "{end:?}");
        }
        handle.submit(Command::Complete(complete(&held[0]))).await.unwrap();
        let next = take(&handle).await;
        assert_eq!(next.len(), 1, "{end:?}: one ended, one more");
        assert!(held.iter().all(|before| before.token < next[0].token), "{end:?}");
        assert!(handle.submit(renew(&held[0], None)).await.is_err(), "{end:?}: its token is spent");
        two.cluster.stop().await;
    }
}

fn pipeline(name: &str) -> PipelineId {
    PipelineId::new(name).unwrap()
}

fn reserve(name: &str, cpu: f64, wait: Option<Millis>) -> Registry {
    let ttl = Millis::secs(3_600);
    Registry::Reserve(Reserve { ttl, wait, ..Reserve::new(pipeline(name), cpu, 10) })
}

/// What is claimed of the CPU, which is never more than there may be.
async fn claimed(handle: &Handle) -> f64 {
    let room = see(handle, |state| state.registry.system().availability).await;
    assert!(room.claimed.fits_in(room.limits), "{room:?}");
    room.claimed.cpu.as_percent()
}

#[tokio::test]
async fn reservations_hold_their_room_under_the_next_leader() {
    for end in BOTH {
        let (pair, handle) = Pair::begin().await;
        handle.submit_pipeline(reserve("a", 50.0, None)).await.unwrap();
        handle.submit_pipeline(reserve("b", 30.0, None)).await.unwrap();
        handle.submit_pipeline(reserve("patient", 30.0, Some(Millis::secs(3_600)))).await.unwrap();

        let (_gone, two, handle) = pair.hand_over(end).await;

        assert_eq!(claimed(&handle).await, 80.0, "{end:?}");
        let late = handle.submit_pipeline(reserve("late", 0.1, None)).await;
        assert!(matches!(late, Err(Failure::PipelineRejected(Rejection::NoRoom { .. }))), "{end:?}: {late:?}");
        // The same again renews it, and takes nothing twice.
        handle.submit_pipeline(reserve("a", 50.0, None)).await.unwrap();
        assert_eq!(claimed(&handle).await, 80.0, "{end:?}");
        handle.submit_pipeline(Registry::Release { id: pipeline("b") }).await.unwrap();
        let admitted = see(&handle, |state| state.registry.reservation(&pipeline("patient")).unwrap().is_held()).await;
        assert!(admitted, "{end:?}: who waited has what was given back");
        assert_eq!(claimed(&handle).await, 80.0, "{end:?}");
        two.cluster.stop().await;
    }
}

/// Room that somebody was told to have, and has not begun to give back.
#[derive(Default)]
struct Account {
    held: AtomicU64,
    /// How often anybody was given any.
    times: watch::Sender<u64>,
}

/// Whoever leads.
async fn leader(servers: &[Server]) -> Handle {
    first_of(servers.iter().map(|each| Box::pin(each.leads())).collect()).await
}

/// Takes room and gives it back, again and again, from whoever leads.
async fn comes_and_goes(name: &str, servers: &[Server], account: &Account, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let handle = leader(servers).await;
        if let Ok(Told::Reservation(place)) = handle.submit_pipeline(reserve(name, 25.0, None)).await {
            assert!(place.is_held());
            let held = account.held.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(held <= 3, "80 % is room for three of 25 %, and {held} have been told that they have it");
            account.times.send_modify(|times| *times += 1);
            // The others may come while it is held.
            tokio::task::yield_now().await;
            account.held.fetch_sub(1, Ordering::SeqCst);
        }
        // Given back before anything else is asked for, for nobody knows whether a lost request took it.
        loop {
            match leader(servers).await.submit_pipeline(Registry::Release { id: pipeline(name) }).await {
                Ok(_) | Err(Failure::PipelineRejected(Rejection::ReservationUnknown(_))) => break,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

#[tokio::test]
async fn no_more_room_is_given_than_there_is_while_leaders_come_and_go() {
    let database: Arc<Database> = Arc::default();
    let servers: Arc<[Server]> = ["a", "b", "c"].map(|name| server(&database, name)).into();
    let (account, done): (Arc<Account>, Arc<AtomicBool>) = Default::default();
    let players: Vec<_> = (0..5)
        .map(|player| {
            let (servers, account, done) = (Arc::clone(&servers), Arc::clone(&account), Arc::clone(&done));
            tokio::spawn(async move { comes_and_goes(&format!("p{player}"), &servers, &account, &done).await })
        })
        .collect();
    let mut times = account.times.subscribe();
    for round in 1..=4 {
        // Under each leader some get what they ask for.
        times.wait_for(|times| *times >= round * 20).await.unwrap();
        let before = leader(&servers).await.status().epoch();
        let leads = |each: &Server| matches!(&*each.cluster.turns().borrow(), capstan_coordinator::Turn::Leader(_));
        let Some(place) = servers.iter().position(leads) else { continue };
        servers[place].wire.cut.store(true, Ordering::SeqCst);
        let others: Vec<_> = servers.iter().enumerate().filter(|(other, _)| *other != place).collect();
        let next = first_of(others.iter().map(|(_, each)| Box::pin(each.leads())).collect()).await;
        assert!(next.status().epoch() > before);
        assert!(claimed(&next).await <= 80.0);
        servers[place].wire.cut.store(false, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    for player in players {
        player.await.unwrap();
    }
    assert_eq!(claimed(&leader(&servers).await).await, 0.0, "all of it was given back");
}
