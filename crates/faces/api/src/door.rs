//! What a listener serves, exchanged while connections stand: a server that takes the lead, or loses it, answers
//! otherwise from the next request on.

use axum::Router;
use std::sync::{Arc, PoisonError, RwLock};

/// The routes of now.
#[derive(Clone, Debug)]
pub struct Door(Arc<RwLock<Router>>);

impl Door {
    /// Serves these until others are put in their place.
    pub fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    /// Serves these from the next request on; requests in progress end where they began.
    pub fn exchange(&self, router: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    pub(crate) fn routes(&self) -> Router {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<Router> for Door {
    fn from(router: Router) -> Self {
        Self::new(router)
    }
}
