//! A coordinator over a journal in a temporary folder, a generated dump, and what tests look at.

use crate::mendable::Mendable;
use async_trait::async_trait;
use bson::doc;
use capstan_coordination::{Acquire, Brief, Coordination, CoordinationError, Fault, Holding, Leased, News, Outcome};
use capstan_coordinator::{Clock, Coordinator, Handle, Options as CoordinatorOptions, State, SystemClock};
use capstan_endpoint::{Adapters, bson_frames};
use capstan_ids::{Moment, Monotonic, WorkerId};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_migration::{JobCommand, JobName, JobView, Report};
use capstan_worker::{Activity, Options, Worker, WorkerError};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Faults that were planted.
pub struct Planted {
    pub missing: u64,
    pub different: u64,
    pub extra: u64,
    /// Without those of collections that only the target has.
    pub extra_in_units: u64,
}

pub struct Stage {
    pub folder: tempfile::TempDir,
    clock: Turned,
    coordinator: Option<Coordinator>,
    pub line: Line,
}

/// The machine's clocks, turned on by hand.
#[derive(Clone, Default)]
struct Turned(Arc<AtomicU64>);

impl Clock for Turned {
    fn now(&self) -> Moment {
        let now = SystemClock.now();
        Moment { monotonic: Monotonic(now.monotonic.0 + self.0.load(Ordering::SeqCst)), ..now }
    }
}

/// The way to whichever coordinator there is; none while it is being started again.
#[derive(Clone)]
pub struct Line(Arc<RwLock<Option<Handle>>>);

impl Line {
    pub fn handle(&self) -> Handle {
        self.0.read().unwrap().clone().expect("the coordinator is up")
    }

    fn call(&self) -> Result<Handle, CoordinationError> {
        let cut = || CoordinationError::Unavailable { reason: "cut".into(), retry_after: Duration::from_millis(50) };
        self.0.read().unwrap().clone().ok_or_else(cut)
    }
}

#[async_trait]
impl Coordination for Line {
    async fn acquire(&self, wish: &Acquire) -> Result<Vec<Leased>, CoordinationError> {
        Coordination::acquire(&self.call()?, wish).await
    }
    async fn renew(&self, holding: &Holding, news: &News) -> Result<Duration, CoordinationError> {
        self.call()?.renew(holding, news).await
    }
    async fn complete(&self, holding: &Holding, outcome: &Outcome) -> Result<(), CoordinationError> {
        self.call()?.complete(holding, outcome).await
    }
    async fn fail(&self, holding: &Holding, fault: &Fault) -> Result<(), CoordinationError> {
        self.call()?.fail(holding, fault).await
    }
    async fn release(&self, holding: &Holding, news: &News) -> Result<(), CoordinationError> {
        self.call()?.release(holding, news).await
    }
    async fn brief(&self, holding: &Holding, from: u32) -> Result<Brief, CoordinationError> {
        self.call()?.brief(holding, from).await
    }
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let line = Line(Arc::new(RwLock::new(None)));
        let mut stage = Self { folder, clock: Turned::default(), coordinator: None, line };
        stage.start();
        stage
    }

    pub fn start(&mut self) {
        let journal = EmbeddedJournal::open(&self.path("journal"), EmbeddedOptions::default()).unwrap();
        let options = CoordinatorOptions { clock: Arc::new(self.clock.clone()), ..CoordinatorOptions::default() };
        let (coordinator, handle) = Coordinator::start(Box::new(journal), options).unwrap();
        self.coordinator = Some(coordinator);
        *self.line.0.write().unwrap() = Some(handle);
    }

    pub async fn stop(&mut self) {
        *self.line.0.write().unwrap() = None;
        self.coordinator.take().unwrap().stop().await.unwrap();
    }

    /// Time passes for the coordinator, and for nobody else.
    pub fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A dump of `documents` documents in `shop.orders`, and a small collection beside it.
    pub fn write_dump(&self, documents: i32) {
        let shop = self.path("from/shop");
        fs::create_dir_all(&shop).unwrap();
        let order = |n: i32| doc! { "_id": n, "text": format!("order {n} ").repeat(1 + n as usize % 40) };
        let bytes = |documents: i32| -> Vec<u8> {
            (0..documents).flat_map(|n| bson::serialize_to_vec(&order(n)).unwrap()).collect()
        };
        fs::write(shop.join("orders.bson"), bytes(documents)).unwrap();
        fs::write(shop.join("users.bson"), bytes(10)).unwrap();
    }

    /// A job from the generated dump to another, in small chunks; `more` are further lines of its specification.
    pub fn spec(&self, more: &str) -> String {
        let given = |field: &str| more.lines().any(|line| line.starts_with(field));
        let line =
            |field: &str, value: String| if given(field) { String::new() } else { format!("{field} = {value}\n") };
        let from = line("from", format!("'dump:{}'", self.path("from").display()));
        let to = line("to", format!("'dump:{}'", self.path("to").display()));
        let chunks = line("chunks", "{ documents = 300 }".into());
        format!("{from}{to}{chunks}{more}\n")
    }

    pub async fn submit(&self, spec: &str) -> JobName {
        let spec = Box::new(toml::from_str(spec).unwrap());
        self.command(JobCommand::Submit { name: None, spec }).await
    }

    pub async fn submit_as(&self, name: &JobName, spec: &str) -> JobName {
        let spec = Box::new(toml::from_str(spec).unwrap());
        self.command(JobCommand::Submit { name: Some(name.clone()), spec }).await
    }

    pub async fn command(&self, command: JobCommand) -> JobName {
        self.line.handle().command_job(command).await.unwrap()
    }

    pub fn options(&self, worker: &str) -> Options {
        Options {
            slots: 2,
            spool: Some(format!("file:{}", self.path("spool").display())),
            dead_letters: Some(self.path("dead")),
            part_bytes: 20_000,
            checkpoint_bytes: 20_000,
            spool_reserve: 0,
            ..Options::new(WorkerId::new(worker).unwrap())
        }
    }

    /// A worker that can put single documents of dumps right.
    pub fn mending(&self, worker: &str) -> Options {
        let adapters = Adapters::of_files().with(Arc::new(Mendable));
        Options { adapters, ..self.options(worker) }
    }

    /// The generated dump once more, as `to`.
    pub fn copy_dump(&self) {
        fs::create_dir_all(self.path("to/shop")).unwrap();
        for (name, bytes) in self.files("from") {
            fs::write(self.path("to").join(name), bytes).unwrap();
        }
    }

    /// A copy as `to` with a fault of each sort in it: documents missing, too much, changed, with fields in another
    /// order and of another type, a collection too much and one that is not there.
    pub fn spoiled_copy(&self) -> Planted {
        self.copy_dump();
        let bytes = fs::read(self.path("from/shop/orders.bson")).unwrap();
        let mut documents: Vec<_> = bson_frames::walk(&bytes).map(<[u8]>::to_vec).collect();
        let read = |document: &[u8]| bson::deserialize_from_slice::<bson::Document>(document).unwrap();
        let write = |document: &bson::Document| bson::serialize_to_vec(document).unwrap();
        let (order, kind) = (read(&documents[10]), read(&documents[11]));
        documents[10] = write(&doc! { "text": order.get_str("text").unwrap(), "_id": order.get_i32("_id").unwrap() });
        documents[11] = write(&doc! { "_id": 11_i64, "text": kind.get_str("text").unwrap() });
        documents[12] = write(&doc! { "_id": 12, "text": "changed" });
        documents.remove(500);
        documents.extend((0..3).map(|n| write(&doc! { "_id": 1_000_000 + n })));
        fs::write(self.path("to/shop/orders.bson"), documents.concat()).unwrap();
        fs::remove_file(self.path("to/shop/users.bson")).unwrap();
        fs::write(self.path("to/shop/more.bson"), write(&doc! { "_id": 1 }).repeat(2)).unwrap();
        // An `_id` of another type is another document: one missing, one too much.
        Planted { missing: 12, different: 2, extra: 6, extra_in_units: 4 }
    }

    /// The documents of a file, in the order of their bytes.
    pub fn sorted(&self, dump: &str, file: &str) -> Vec<Vec<u8>> {
        let mut documents: Vec<_> = bson_frames::walk(&self.files(dump)[file]).map(<[u8]>::to_vec).collect();
        documents.sort_unstable();
        documents
    }

    pub fn employ(&self, options: Options) -> Employed {
        self.employ_over(Arc::new(self.line.clone()), options)
    }

    /// A worker that reaches the coordinator in another way.
    pub fn employ_over(&self, coordination: Arc<dyn Coordination>, options: Options) -> Employed {
        Employed::new(Worker::new(coordination, options))
    }

    /// So many collections of one small document each.
    pub fn write_small(&self, collections: usize) {
        fs::create_dir_all(self.path("from/small")).unwrap();
        for number in 0..collections {
            let document = bson::serialize_to_vec(&doc! { "_id": number as i32 }).unwrap();
            fs::write(self.path("from/small").join(format!("c{number:04}.bson")), document).unwrap();
        }
    }

    /// What the coordinator knows.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + 'static) -> T {
        self.line.handle().read(look).await.unwrap()
    }

    /// Waits until the state is as wanted.
    pub async fn until<T: Send + 'static>(
        &self,
        what: &str,
        look: impl Fn(&State) -> Option<T> + Clone + Send + 'static,
    ) -> T {
        let handle = self.line.handle();
        let found = async {
            let mut changes = handle.watch(None, None).await.unwrap();
            loop {
                let look = look.clone();
                if let Some(found) = handle.read(move |state| look(state)).await.unwrap() {
                    return found;
                }
                changes.next().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("{what} did not come; items: {:#?}", self.items(&handle).await),
        }
    }

    async fn items(&self, handle: &Handle) -> Vec<String> {
        let items = handle.read(|state| {
            let sessions: Vec<_> = state.work.sessions_after(None).map(|session| session.name).collect();
            let items = sessions.iter().filter_map(|session| state.work.items_from(session, 0)).flatten();
            items
                .map(|item| format!("{} {} {} {:?}", item.body.id(), item.state.name(), item.attempts, item.last_error))
                .collect()
        });
        items.await.unwrap()
    }

    /// Waits for a job's end, and gives its report.
    pub async fn ended(&self, job: &JobName) -> Report {
        let job = job.clone();
        let report = move |state: &State| {
            state.jobs.job(&job).filter(|job| job.ended.is_some())?;
            state.jobs.report(&job, SystemClock.now().wall, false)
        };
        self.until("the job's end", report).await
    }

    /// Waits until a job is as wanted.
    pub async fn until_job(
        &self,
        job: &JobName,
        what: &str,
        wanted: impl Fn(&JobView) -> bool + Clone + Send + 'static,
    ) -> JobView {
        let job = job.clone();
        self.until(what, move |state| state.jobs.job(&job).filter(|view| wanted(view))).await
    }

    /// The data files of a dump, by name.
    pub fn files(&self, dump: &str) -> BTreeMap<String, Vec<u8>> {
        data_files(&self.path(dump))
    }

    pub fn spooled(&self) -> Vec<PathBuf> {
        let mut parts = Vec::new();
        for job in fs::read_dir(self.path("spool")).into_iter().flatten().map(Result::unwrap) {
            for part in fs::read_dir(job.path()).into_iter().flatten() {
                parts.push(part.unwrap().path());
            }
        }
        parts.sort();
        parts
    }
}

pub fn data_files(dump: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for database in fs::read_dir(dump).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(database.path()).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|ending| ending == "bson") {
                let name = format!(
                    "{}/{}",
                    database.file_name().to_str().unwrap(),
                    file.file_name().unwrap().to_str().unwrap()
                );
                files.insert(name, fs::read(file).unwrap());
            }
        }
    }
    files
}

/// A worker that runs until it is dismissed.
pub struct Employed {
    pub worker: Arc<Worker>,
    pub activity: tokio::sync::watch::Receiver<Activity>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), WorkerError>>,
}

impl Employed {
    fn new(worker: Worker) -> Self {
        let worker = Arc::new(worker);
        let (activity, stop) = (worker.activity(), CancellationToken::new());
        let running = tokio::spawn({
            let (worker, stop) = (Arc::clone(&worker), stop.clone());
            async move { worker.run(stop).await }
        });
        Self { worker, activity, stop, running }
    }

    /// Waits until it does what is wanted.
    pub async fn until(&mut self, what: &str, wanted: impl FnMut(&Activity) -> bool) {
        match tokio::time::timeout(PATIENCE, self.activity.wait_for(wanted)).await {
            Ok(seen) => drop(seen.unwrap()),
            Err(_) => panic!("{what} did not come"),
        }
    }

    /// Tells it to stop, and waits until it has.
    pub async fn dismiss(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}
