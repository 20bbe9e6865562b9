//! The target as verification sees it: listed once for many units, not anew for each.
//!
//! A listing may be older than what was written since, and of files it is all that is seen of them: what is found equal
//! by it is equal, what is found wrong is looked at again by a new one.

use crate::halt::Halt;
use capstan_endpoint::{Namespace, Source, Unit};
use capstan_ids::SessionName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Listings that are kept; past that, all are let go.
const KEPT_MAX: usize = 64;

/// What a target held when it was listed.
pub(crate) struct Scan {
    pub source: Arc<dyn Source>,
    number: u64,
    units: HashMap<Namespace, Unit>,
}

/// The last listing of each job's target.
#[derive(Default)]
pub(crate) struct Scans(Mutex<HashMap<SessionName, Arc<Last>>>);

/// The last listing of one target; locked while the target is listed.
type Last = tokio::sync::Mutex<Option<Arc<Scan>>>;

impl Scan {
    pub fn unit(&self, namespace: &Namespace) -> Option<&Unit> {
        self.units.get(namespace)
    }
}

impl Scans {
    /// The last listing if it has the unit and is newer than `newer_than`, or else one that begins now.
    pub async fn with(
        &self,
        session: &SessionName,
        namespace: &Namespace,
        newer_than: Option<&Scan>,
        open: impl Future<Output = Result<Arc<dyn Source>, Halt>>,
    ) -> Result<Arc<Scan>, Halt> {
        let cell = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX && !kept.contains_key(session) {
                kept.clear();
            }
            Arc::clone(kept.entry(session.clone()).or_default())
        };
        // Whoever waits here finds what the one before has listed.
        let mut last = cell.lock().await;
        let usable = |scan: &&Arc<Scan>| {
            scan.unit(namespace).is_some() && newer_than.is_none_or(|older| scan.number > older.number)
        };
        if let Some(scan) = last.as_ref().filter(usable) {
            return Ok(Arc::clone(scan));
        }
        let source = open.await?;
        let units = source.units().await?.units.into_iter().map(|unit| (unit.namespace.clone(), unit)).collect();
        let number = last.as_ref().map_or(0, |scan| scan.number + 1);
        let scan = Arc::new(Scan { source, number, units });
        *last = Some(Arc::clone(&scan));
        Ok(scan)
    }

    pub fn forget(&self, session: &SessionName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}
