//! The target as verification sees it: listed once for many units, not anew for each.

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
    units: HashMap<Namespace, Unit>,
}

/// The last listing of each job's target. A unit that is not in it makes it be listed again: what a job writes comes,
/// and never goes.
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
    /// A listing that has the unit, or else one that is newer than this call.
    pub async fn with(
        &self,
        session: &SessionName,
        namespace: &Namespace,
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
        if let Some(scan) = last.as_ref().filter(|scan| scan.unit(namespace).is_some()) {
            return Ok(Arc::clone(scan));
        }
        let source = open.await?;
        let units = source.units().await?.units.into_iter().map(|unit| (unit.namespace.clone(), unit)).collect();
        let scan = Arc::new(Scan { source, units });
        *last = Some(Arc::clone(&scan));
        Ok(scan)
    }

    pub fn forget(&self, session: &SessionName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}
