//! The only thing around every handler: counts, takes the time, hands the request's id back.

use crate::metrics::RouteFigures;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tower::{Layer, Service};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id is not handed back.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// Puts the figures of a route around it.
#[derive(Clone, Debug)]
pub struct Counting(pub Arc<RouteFigures>);

/// A route with its figures.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    route: S,
    figures: Arc<RouteFigures>,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, route: S) -> Counted<S> {
        Counted { route, figures: Arc::clone(&self.0) }
    }
}

impl<S: Service<Request<Body>, Response = Response<Body>>> Service<Request<Body>> for Counted<S> {
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let id = request.headers().get(REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned();
        Answering {
            figures: Arc::clone(&self.figures),
            method: request.method().clone(),
            id,
            began: Instant::now(),
            answer: self.route.call(request),
        }
    }
}

pin_project! {
    /// An answer that is being made.
    #[derive(Debug)]
    pub struct Answering<F> {
        figures: Arc<RouteFigures>,
        method: Method,
        id: Option<HeaderValue>,
        began: Instant,
        #[pin]
        answer: F,
    }
}

impl<F: Future<Output = Result<Response<Body>, E>>, E> Future for Answering<F> {
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut outcome = ready!(this.answer.poll(context));
        if let Ok(response) = &mut outcome {
            this.figures.count(this.method, response.status(), this.began.elapsed());
            if let Some(id) = this.id.take() {
                response.headers_mut().insert(REQUEST_ID, id);
            }
        }
        Poll::Ready(outcome)
    }
}
