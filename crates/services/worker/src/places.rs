//! Opened endpoints and spools, kept while their jobs go on: a connection is not made anew for each chunk.

use crate::engine::Engine;
use crate::halt::Halt;
use crate::kept::{self, Catalogue, SpoolSource};
use crate::options::Options;
use crate::patience::{PatientSink, PatientSource};
use crate::scans::{Scan, Scans};
use capstan_endpoint::{EndpointUrl, Namespace, Sink, Source};
use capstan_ids::SessionName;
use capstan_migration::{self as migration, Compression, JobName, Mode, SetAside, Spec};
use capstan_spool::{Marker, Opening, Spool};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Opened places that are kept; past that, all are let go and opened again when they are wanted.
const KEPT_MAX: usize = 256;

/// Everything a worker has open.
pub(crate) struct Places {
    options: Options,
    sources: Kept<(SessionName, String), Arc<dyn Source>>,
    dumps: Kept<SessionName, Arc<dyn Source>>,
    scans: Scans,
    sinks: Kept<(SessionName, String), Arc<dyn Sink>>,
    /// By URL, and whether what is written is compressed.
    spools: Kept<(String, bool), Arc<dyn Spool>>,
}

/// A job's spool, and what it is called.
#[derive(Clone)]
pub(crate) struct Opened {
    pub url: String,
    pub spool: Arc<dyn Spool>,
}

impl Opened {
    /// A worker elsewhere never takes the absence of parts for their loss.
    pub fn check_marker(&self, marker: Option<&str>) -> Result<(), Halt> {
        let (seen, url) = (self.spool.marker().to_string(), &self.url);
        match marker {
            Some(marker) if marker != seen => Err(Halt::Elsewhere {
                reason: format!(
                    "this lies in the spool with marker {marker}, but {url} here has {seen}; start this worker where that spool is, or without the kind restore"
                ),
            }),
            _ => Ok(()),
        }
    }
}

impl Places {
    pub fn new(options: Options) -> Self {
        let (sources, dumps, sinks) = Default::default();
        Self { options, sources, dumps, scans: Scans::default(), sinks, spools: Kept::default() }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where a job reads from: an endpoint, or a kept dump.
    pub async fn source(&self, session: &SessionName, spec: &Spec) -> Result<Arc<dyn Source>, Halt> {
        if spec.mode != Mode::RestoreOnly {
            return self.endpoint_source(session, spec, &spec.from).await;
        }
        let open = async {
            let dump = match self.dump_of(spec).await? {
                Ok(dump) => dump,
                // The survey has found it: this worker sees another spool.
                Err(aside) => {
                    return Err(Halt::Elsewhere { reason: format!("the dump {}: {}", aside.what, aside.reason) });
                }
            };
            let opened = self.spool(spec).await?;
            let gone = || Halt::permanent(format!("{} keeps no dump of {dump} any more", opened.url));
            let catalogue = Catalogue::read(&opened, &dump).await?.ok_or_else(gone)?;
            let source: Arc<dyn Source> = Arc::new(SpoolSource::new(opened, catalogue));
            Ok(PatientSource::over(source, self.options.stall_after))
        };
        self.dumps.get(session.clone(), open).await
    }

    /// What a job's target is compared with: where it was read from; for a kept dump where that came from, if it says.
    pub async fn expected(&self, session: &SessionName, spec: &Spec) -> Result<Arc<dyn Source>, Halt> {
        match spec.mode {
            Mode::RestoreOnly if !spec.from.is_empty() => self.endpoint_source(session, spec, &spec.from).await,
            _ => self.source(session, spec).await,
        }
    }

    /// A listing of the target that has the unit, where the target has it; a newer one than that, if one is given.
    pub async fn scan(
        &self,
        session: &SessionName,
        spec: &Spec,
        unit: &Namespace,
        newer_than: Option<&Scan>,
    ) -> Result<Arc<Scan>, Halt> {
        self.scans.with(session, unit, newer_than, self.target(session, spec)).await
    }

    /// The target, to be read.
    pub async fn target(&self, session: &SessionName, spec: &Spec) -> Result<Arc<dyn Source>, Halt> {
        match spec.mode {
            // Nothing is written: what lies there may be what no sink would open.
            Mode::Verify if !spec.repair => self.endpoint_source(session, spec, &spec.to).await,
            _ => Ok(self.sink(session, spec).await?.scan().await?),
        }
    }

    /// Which kept dump a job restores; the inner `Err` says why that cannot be told.
    pub async fn dump_of(&self, spec: &Spec) -> Result<Result<SessionName, SetAside>, Halt> {
        let opened = self.spool(spec).await?;
        let kept = kept::dumps(&opened).await?;
        let refused = |what: &str, reason: String| Err(SetAside { what: what.into(), reason: reason.into() });
        let names = || kept.iter().filter_map(JobName::of_session).map(|job| job.to_string()).collect::<Vec<_>>();
        Ok(match (&spec.dump, &kept[..]) {
            (_, []) => refused(&opened.url, "keeps no dump; make one with mode dump-only".into()),
            (None, [only]) => Ok(only.clone()),
            (None, _) => {
                refused(&opened.url, format!("keeps several dumps; name one in `dump`: {}", names().join(", ")))
            }
            (Some(name), _) => {
                match kept.iter().find(|dump| JobName::of_session(dump).is_some_and(|job| job.as_str() == name)) {
                    Some(dump) => Ok(dump.clone()),
                    None => {
                        refused(name, format!("is no dump that {} keeps; those are {}", opened.url, names().join(", ")))
                    }
                }
            }
        })
    }

    async fn endpoint_source(&self, session: &SessionName, spec: &Spec, url: &str) -> Result<Arc<dyn Source>, Halt> {
        let key = (session.clone(), url.to_owned());
        let open = async {
            let url = self.endpoint(url)?;
            let native = self.options.adapters.source(&url).await?;
            let source = match self.engine(spec)? {
                Some(engine) => engine.source(&url, native).await?,
                None => native,
            };
            Ok(PatientSource::over(source, self.options.stall_after))
        };
        self.sources.get(key, open).await
    }

    /// Where a job writes to.
    pub async fn sink(&self, session: &SessionName, spec: &Spec) -> Result<Arc<dyn Sink>, Halt> {
        let key = (session.clone(), spec.to.clone());
        let open = async {
            let (url, job) = (self.endpoint(&spec.to)?, session.as_str());
            let native = self.options.adapters.sink(&url, job).await?;
            let sink = match self.engine(spec)? {
                Some(engine) => engine.sink(&url, job, native).await?,
                None => native,
            };
            Ok(PatientSink::over(sink, self.options.stall_after))
        };
        self.sinks.get(key, open).await
    }

    /// Where a job's dumped chunks lie: as it says, or as this worker was told.
    pub async fn spool(&self, spec: &Spec) -> Result<Opened, Halt> {
        let url = spec.spool.as_ref().or(self.options.spool.as_ref());
        let url = url.ok_or_else(|| {
            Halt::permanent("this job needs a spool: name one in the job (`spool`), or start the worker with --spool")
        })?;
        let spool = self.open_spool(url, spec.compression).await?;
        Ok(Opened { url: url.clone(), spool })
    }

    /// Whether a spool that had no room has some now.
    pub async fn has_room(&self, url: &str) -> Result<bool, Halt> {
        let spool = self.open_spool(url, Compression::default()).await?;
        spool.has_room().await.map_err(|error| Halt::of_spool(url, &error))
    }

    /// Lets go of what a job has open: it begins anew, or is over.
    pub fn forget(&self, session: &SessionName) {
        self.sources.retain(|(kept, _)| kept != session);
        self.dumps.retain(|kept| kept != session);
        self.scans.forget(session);
        self.sinks.retain(|(kept, _)| kept != session);
    }

    async fn open_spool(&self, url: &str, compression: Compression) -> Result<Arc<dyn Spool>, Halt> {
        let open = async {
            let opening = Opening {
                fresh: Marker::new(random()?),
                compression: match compression {
                    Compression::None => capstan_spool::Compression::None,
                    Compression::Zstd => capstan_spool::Compression::default(),
                },
                reserve: self.options.spool_reserve,
                secret: &|name| Ok(self.options.secrets.get(name)?),
            };
            capstan_spool::open(url, opening).await.map_err(|error| Halt::of_spool(url, &error))
        };
        self.spools.get((url.to_owned(), compression == Compression::Zstd), open).await
    }

    /// What moves the documents instead of the endpoints themselves, where the job says so.
    fn engine(&self, spec: &Spec) -> Result<Option<&dyn Engine>, Halt> {
        match spec.engine {
            migration::Engine::Native => Ok(None),
            migration::Engine::MongoTools => match &self.options.mongo_tools {
                Some(engine) => Ok(Some(engine.as_ref())),
                None => Err(Halt::permanent(
                    "this worker does not run mongodump and mongorestore; choose `engine = \"native\"`",
                )),
            },
        }
    }

    fn endpoint(&self, url: &str) -> Result<EndpointUrl, Halt> {
        Ok(self.options.secrets.fill(url)?.parse()?)
    }
}

/// A number that no other spool has.
fn random() -> Result<u128, Halt> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(16) => Ok(u128::from_le_bytes(bytes)),
        _ => Err(Halt::transient("the system gave no random number for a new spool")),
    }
}

/// Things that are opened once for each key, by whoever wants them first.
struct Kept<K, T>(Mutex<HashMap<K, Arc<OnceCell<T>>>>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, T: Clone> Kept<K, T> {
    /// What is open for the key; `open` is only polled where nothing is.
    async fn get(&self, key: K, open: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        let cell = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
                kept.clear();
            }
            Arc::clone(kept.entry(key).or_default())
        };
        cell.get_or_try_init(|| open).await.cloned()
    }

    fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}
